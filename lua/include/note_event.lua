-- note_event(events, kind, about): the merchant's stream has one event more, and lasts a retention from now on.
-- events is "<stream> <expiring leases> <most events> <retention in ms>", about a list of fields and values.
local function note_event(events, kind, about)
  local events_key, max_events, retention_ms = events:match('^(%S+) %S+ (%d+) (%d+)$')
  redis.call('XADD', events_key, 'MAXLEN', '~', max_events, '*', 'kind', kind, unpack(about))
  redis.call('PEXPIRE', events_key, retention_ms)
end
