--@include format_ms

-- find_expired(events, most, now, slot_prefix, lease_prefix): what became of at most so many leases whose end is due.
-- It only reads, so that a script meets every key before its first write. One truth: a spot key says whether a lease
-- is held; one that was lengthened, booked or released by a process that notes no events has not expired.
local function find_expired(events, most, now, slot_prefix, lease_prefix)
  local events_key, expiring_key = events:match('^(%S+) (%S+)')
  redis.call('XLEN', events_key)
  local due = redis.call('ZRANGE', expiring_key, '-inf', '(' .. format_ms(now), 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  local found = {}
  for place = 1, #due, 2 do
    local lease, spot = due[place]:match('^(%S+) (%S+)$')
    local spot_key = slot_prefix .. spot
    local is_held = redis.call('GET', spot_key) == 'lease ' .. lease
    local record = redis.call('HMGET', lease_prefix .. lease, 'booking', 'released_at_ms')
    found[#found + 1] = {
      lease = lease,
      spot = spot,
      expires_at_ms = due[place + 1],
      held_until_ms = is_held and now + redis.call('PTTL', spot_key),
      has_expired = not (is_held or record[1] or record[2]),
    }
  end
  return found
end
