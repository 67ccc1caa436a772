-- forget_booking: a user's index no longer names a booking that is not there, once no call can still be making it.
-- KEYS[1]  index_key  sorted set  booking ids of one user, by the time they were last named
-- ARGV[1]  booking_id  string   as on the wire
-- ARGV[2]  min_age_ms  integer  longer than any call can take
-- Returns {status, ...} in order of precedence:
--   kept       it was named too lately, or not at all
--   forgotten  it is not named any more
-- Keeps: a booking in the making stays named.
-- Cost: O(log n) in the bookings of one user.
-- Rights: TIME; ZSCORE ZREM bookings-of.
-- Promises: nothing.
-- Repeatable: yes. It only removes.

--@include now_ms

local index_key = KEYS[1]
local booking_id = ARGV[1]
local min_age_ms = tonumber(ARGV[2])

local named_at_ms = redis.call('ZSCORE', index_key, booking_id)
if not named_at_ms or tonumber(named_at_ms) > now_ms() - min_age_ms then
  return {'kept'}
end
redis.call('ZREM', index_key, booking_id)
return {'forgotten'}
