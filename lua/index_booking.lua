-- index_booking: the user's index names the booking, and lasts at least as long; it may name too much, never too little.
-- KEYS[1]  index_key  sorted set  booking ids of one user, by the time they were last named
-- ARGV[1]  booking_id      string   as on the wire
-- ARGV[2]  slot_start_ms   integer  the start of the slot, epoch ms
-- ARGV[3]  keep_ms         integer  how long after that start the record is kept
-- ARGV[4]  max_advance_ms  integer  no booking starts later than this from now
-- Returns {status, ...} in order of precedence:
--   not_needed   a booking of such a slot has ended, or is still refused in two minutes
--   indexed      the booking is named
-- Keeps: the index ends with the last booking that it names.
-- Cost: O(log n) in the bookings of one user.
-- Rights: TIME; PTTL ZADD PEXPIREAT bookings-of.
-- Promises: indexed.
-- Repeatable: yes. It only adds.

--@include now_ms
--@include format_ms
--@include require_rights

local index_key = KEYS[1]
local booking_id = ARGV[1]
local slot_start_ms = tonumber(ARGV[2])
local keep_ms = tonumber(ARGV[3])
local max_advance_ms = tonumber(ARGV[4])

-- The booking is judged later than this, and by the clock of another shard, so the horizon may have moved on.
local longer_than_any_call_ms = 120000

local now = now_ms()
local ends_at_ms = slot_start_ms + keep_ms
if ends_at_ms <= now or slot_start_ms > now + max_advance_ms + longer_than_any_call_ms then
  return {'not_needed'}
end

local remaining_ms = redis.call('PTTL', index_key)
require_rights(index_key, 'PEXPIREAT')
redis.call('ZADD', index_key, format_ms(now), booking_id)
if remaining_ms < ends_at_ms - now then
  redis.call('PEXPIREAT', index_key, format_ms(ends_at_ms))
end
return {'indexed'}
