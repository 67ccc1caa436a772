--@include knows_layout

-- read_record(key, ...): those fields of a record, in the same order; false where there is none. A script ends here, before
-- its first write, if only a later release knows the layout of the record.
local function read_record(key, ...)
  local fields = redis.call('HMGET', key, 'v', ...)
  if not knows_layout(table.remove(fields, 1)) then
    error('LAYOUT_UNKNOWN nothing is written: a later release wrote this ' .. key:match('^[^:]*'), 0)
  end
  return fields
end
