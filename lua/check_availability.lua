-- check_availability: nothing changes; the free spots of a slot are counted as create_lease would find them now.
-- KEYS[1]  spot_key  string  who has the spot of the slot
-- ARGV[1]  slot_start_ms   integer  the start of the slot, epoch ms
-- ARGV[2]  min_lease_ms    integer  no slot that starts sooner can be held
-- ARGV[3]  max_advance_ms  integer  no slot that starts later than this from now
-- Returns {status, ...} in order of precedence:
--   start_too_far         the slot begins after more than max_advance_ms
--   counted        count  so many spots are free; 0 once the slot begins within min_lease_ms
-- Keeps: the count agrees with what create_lease would answer at this instant.
-- Cost: constant; one read.
-- Repeatable: yes. It writes nothing.

--@include now_ms

local spot_key = KEYS[1]
local slot_start_ms = tonumber(ARGV[1])
local min_lease_ms = tonumber(ARGV[2])
local max_advance_ms = tonumber(ARGV[3])

local now = now_ms()
local count = 0

if slot_start_ms > now + max_advance_ms then
  return {'start_too_far'}
elseif slot_start_ms >= now + min_lease_ms then
  count = 1 - redis.call('EXISTS', spot_key)
end
return {'counted', count}
