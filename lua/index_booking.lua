-- index_booking: the user's index names the booking by its present start, and lasts at least as long as its record.
-- KEYS[1]  index_key  sorted set  booking ids of one user, by the start of their slots, epoch seconds
-- KEYS[2]  moves_key  sorted set  those of them that were moved of late, by when, epoch ms
-- ARGV[1]  booking_id   string   as on the wire
-- ARGV[2]  start_s      integer  the start of the slot that it has, epoch seconds
-- ARGV[3]  ends_at_ms   integer  when its record ends, epoch ms
-- ARGV[4]  taken_at_ms  integer  since when it has that slot, epoch ms
-- ARGV[5]  keep_ms      integer  longer than any call can take; 0 where the booking was just made, and has not moved
-- Returns {status, ...} in order of precedence:
--   not_needed  its record has ended
--   overtaken   a later move is indexed already, or the booking is this user's no more
--   indexed     the booking is named
-- Keeps: the index ends with the last booking that it names; of two moves the later one counts, in whichever order they come;
-- what is forgotten stays so, also for a call that was answered before.
-- Cost: O(log n) in the bookings of one user; at most seven commands.
-- Rights: TIME; ZSCORE PTTL ZADD PEXPIREAT PEXPIRE bookings-of.
-- Promises: overtaken, indexed.
-- Repeatable: yes. A second run names it again.

--@include now_ms
--@include format_ms
--@include require_rights

local index_key = KEYS[1]
local moves_key = KEYS[2]
local booking_id = ARGV[1]
local start_s = ARGV[2]
local ends_at_ms = tonumber(ARGV[3])
local taken_at_ms = tonumber(ARGV[4])
local keep_ms = tonumber(ARGV[5])

local now = now_ms()
-- A past PEXPIREAT would delete the whole index.
if ends_at_ms <= now then
  return {'not_needed'}
end
local moved_at_ms = redis.call('ZSCORE', moves_key, booking_id)
if moved_at_ms and tonumber(moved_at_ms) > taken_at_ms then
  return {'overtaken'}
end

local remaining_ms = redis.call('PTTL', index_key)
require_rights(index_key, 'PEXPIREAT')
require_rights(moves_key, 'ZADD', 'PEXPIRE')
redis.call('ZADD', index_key, start_s, booking_id)
if remaining_ms < ends_at_ms - now then
  redis.call('PEXPIREAT', index_key, format_ms(ends_at_ms))
end
if keep_ms > 0 then
  redis.call('ZADD', moves_key, format_ms(taken_at_ms), booking_id)
  redis.call('PEXPIRE', moves_key, keep_ms)
end
return {'indexed'}
