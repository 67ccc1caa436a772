-- forget_booking: a user's index, intents and moves no longer name a booking, once no call can still be making it.
-- KEYS[1]  index_key    sorted set  booking ids of one user, by the start of their slots, epoch seconds
-- KEYS[2]  intents_key  sorted set  ids of bookings in the making of the same user, by the time that they were named, epoch ms
-- KEYS[3]  moves_key    sorted set  those of the index that were moved of late, by when, epoch ms
-- ARGV[1]  booking_id  string   as on the wire
-- ARGV[2]  min_age_ms  integer  longer than any call can take, or 0 where the record is there
-- Returns {status, ...} in order of precedence:
--   kept       it was named too lately
--   forgotten  it is not named, any more or at all
-- Keeps: a booking in the making stays named.
-- Cost: O(log n) in the bookings of one user.
-- Rights: TIME; ZSCORE ZREM bookings-of.
-- Promises: nothing.
-- Repeatable: yes. It only removes.

--@include now_ms
--@include require_rights

local index_key = KEYS[1]
local intents_key = KEYS[2]
local moves_key = KEYS[3]
local booking_id = ARGV[1]
local min_age_ms = tonumber(ARGV[2])

-- 0.1.0 named a booking before it was made, by the time in milliseconds; a start in seconds is never so young.
local named_at_ms = tonumber(redis.call('ZSCORE', index_key, booking_id) or 0)
local intended_at_ms = tonumber(redis.call('ZSCORE', intents_key, booking_id) or 0)
if math.max(named_at_ms, intended_at_ms) > now_ms() - min_age_ms then
  return {'kept'}
end
require_rights(intents_key, 'ZREM')
require_rights(moves_key, 'ZREM')
redis.call('ZREM', index_key, booking_id)
redis.call('ZREM', intents_key, booking_id)
redis.call('ZREM', moves_key, booking_id)
return {'forgotten'}
