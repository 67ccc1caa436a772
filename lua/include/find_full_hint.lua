-- find_full_hint(slot_prefix, slot, highest): the key that says that every spot of the slot is taken, and whether it is
-- there. Slots with at most 16 numbers have none: all of them are looked at for less.
local function find_full_hint(slot_prefix, slot, highest)
  local full_key = 'full:' .. slot_prefix:match('^slot:(.*)$') .. slot
  return full_key, highest > 16 and redis.call('EXISTS', full_key) == 1
end
