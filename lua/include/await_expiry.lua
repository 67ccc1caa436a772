-- await_expiry(events, lease, spot, expires_at_ms): the end of this hold will be noticed; 0 if that of an earlier hold of
-- the same lease on this spot has not been noticed yet, else 1. The set outlives all its holds: a retention is no shorter
-- than the longest hold.
local function await_expiry(events, lease, spot, expires_at_ms)
  local expiring_key, retention_ms = events:match('^%S+ (%S+) %d+ (%d+)$')
  local added = redis.call('ZADD', expiring_key, expires_at_ms, lease .. ' ' .. spot)
  redis.call('PEXPIRE', expiring_key, retention_ms)
  return added
end
