--@include require_rights

-- require_event_rights(events): raises NOPERM unless events may be noted, and holds awaited, as the helpers here do it.
local function require_event_rights(events)
  local events_key, expiring_key = events:match('^(%S+) (%S+)')
  require_rights(events_key, 'XADD', 'PEXPIRE')
  require_rights(expiring_key, 'ZADD', 'ZREM', 'PEXPIRE')
end
