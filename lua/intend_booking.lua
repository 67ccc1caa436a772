-- intend_booking: it is known for keep_ms that this booking of the user may be in the making.
-- KEYS[1]  intents_key  sorted set  ids of bookings in the making of one user, by the time that they were named, epoch ms
-- ARGV[1]  booking_id  string   as on the wire
-- ARGV[2]  keep_ms     integer  longer than any call can take
-- ARGV[3]  most        integer  so many intents of a user are kept, the latest
-- Returns {status, ...} in order of precedence:
--   intended  the booking is named
-- Keeps: a booking that is refused leaves nothing beyond keep_ms; none is made by a user who may not write its index.
-- Cost: O(log n) in the intents of one user; at most four commands.
-- Rights: TIME; ZRANGE ZADD ZREM PEXPIRE bookings-of.
-- Promises: nothing.
-- Repeatable: yes. A second run names it again.

--@include now_ms
--@include format_ms
--@include require_rights

local intents_key = KEYS[1]
local booking_id = ARGV[1]
local keep_ms = ARGV[2]
local most = tonumber(ARGV[3])

local too_many = redis.call('ZRANGE', intents_key, 0, -1 - most)
require_rights(intents_key, 'ZREM', 'PEXPIRE')
-- Those of index_booking, whose keys lie beside this one: once the booking is made it is too late to be refused.
require_rights(intents_key, 'ZSCORE', 'PTTL', 'PEXPIREAT')
redis.call('ZADD', intents_key, format_ms(now_ms()), booking_id)
redis.call('PEXPIRE', intents_key, keep_ms)
-- One is added at a time, so there is one too many at most.
if too_many[1] then
  redis.call('ZREM', intents_key, too_many[1])
end
return {'intended'}
