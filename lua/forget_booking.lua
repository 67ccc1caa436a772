-- forget_booking: a user's index, intents and moves no longer name a booking, once no call can still be making it.
-- KEYS[1]  index_key    sorted set  booking ids of one user, by the start of their slots, epoch seconds
-- KEYS[2]  intents_key  sorted set  ids of bookings in the making of the same user, by the time that they were named, epoch ms
-- KEYS[3]  moves_key    sorted set  those that were moved or forgotten of late, by when, epoch ms
-- ARGV[1]  booking_id   string   as on the wire
-- ARGV[2]  keep_ms      integer  longer than any call can take
-- ARGV[3]  taken_at_ms  integer  since when the booking has its slot, epoch ms, where there is a record, which is not this
--                                user's; else empty
-- Returns {status, ...} in order of precedence:
--   kept       there is no record, and it was named too lately
--   forgotten  it is not named, any more or at all
-- Keeps: a booking in the making stays named; what a call has answered before names no booking that is forgotten.
-- Cost: O(log n) in the bookings of one user.
-- Rights: TIME; ZSCORE ZADD ZREM PEXPIRE bookings-of.
-- Promises: nothing.
-- Repeatable: yes. A second run does the same.

--@include now_ms
--@include format_ms
--@include require_rights

local index_key = KEYS[1]
local intents_key = KEYS[2]
local moves_key = KEYS[3]
local booking_id = ARGV[1]
local keep_ms = tonumber(ARGV[2])
local taken_at_ms = tonumber(ARGV[3])

-- 0.1.0 named a booking before it was made, by the time in milliseconds; a start in seconds is never so young.
local named_at_ms = tonumber(redis.call('ZSCORE', index_key, booking_id) or 0)
local intended_at_ms = tonumber(redis.call('ZSCORE', intents_key, booking_id) or 0)
if not taken_at_ms and math.max(named_at_ms, intended_at_ms) > now_ms() - keep_ms then
  return {'kept'}
end
require_rights(intents_key, 'ZREM')
require_rights(moves_key, 'ZADD', 'ZREM', 'PEXPIRE')
redis.call('ZREM', index_key, booking_id)
redis.call('ZREM', intents_key, booking_id)
if taken_at_ms then
  -- As if it had moved once more, so that index_booking takes what a call has answered before for overtaken.
  redis.call('ZADD', moves_key, format_ms(taken_at_ms + 1), booking_id)
  redis.call('PEXPIRE', moves_key, keep_ms)
else
  redis.call('ZREM', moves_key, booking_id)
end
return {'forgotten'}
