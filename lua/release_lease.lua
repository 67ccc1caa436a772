-- release_lease: the lease's spot is free, and its record says since when and why; or nothing has changed.
-- KEYS[1]  lease_key  hash  the record of the lease
-- ARGV[1]  lease_suffix  string   26 characters
-- ARGV[2]  slot_prefix   string   what precedes the slot in the slot keys of this merchant
-- ARGV[3]  reason        string   why, 1-200 bytes
-- ARGV[4]  events        string   where events are noted, and how many for how long (lua/README.md); empty for nowhere
-- Returns {status, ...} in order of precedence:
--   lease_unknown                                no such lease is remembered
--   lease_consumed                               it became a booking, which may be cancelled
--   replayed        released_at_ms given_reason  it was released already, then and for that reason
--   lease_expired                                its hold has ended by itself; somebody else may have the spot
--   released        released_at_ms given_reason  its spot is free from now on
-- Keeps: nobody else's hold ends, because only the spot that this lease holds is freed.
-- Cost: constant: two reads, and two writes of two keys.
-- Promises: replayed, released.
-- Repeatable: yes. A second run finds the first one's work.

--@include now_ms
--@include format_ms
--@include spot_of

local lease_key = KEYS[1]
local lease_suffix = ARGV[1]
local slot_prefix = ARGV[2]
local reason = ARGV[3]
local events = ARGV[4]

local now = now_ms()

local record = redis.call('HMGET', lease_key, 'slot', 'spot', 'booking', 'released_at_ms', 'release_reason')
local slot, spot, booking, released_at_ms, given_reason = record[1], record[2], record[3], record[4], record[5]
if not slot then
  return {'lease_unknown'}
elseif booking then
  return {'lease_consumed'}
elseif released_at_ms then
  return {'replayed', tonumber(released_at_ms), given_reason}
end
local spot_key, is_owner = spot_of(slot_prefix, slot, spot, lease_suffix)
if not is_owner then
  return {'lease_expired'}
end
if events ~= '' then
--@include meet_events
  meet_events(events)
end
-- Frees before it writes, so that it works on a store that is out of memory.
redis.call('DEL', spot_key)
redis.call('HSET', lease_key, 'released_at_ms', format_ms(now), 'release_reason', reason)
if events ~= '' then
--@include note_event
--@include forget_expiry
  forget_expiry(events, lease_suffix, slot .. '#' .. spot)
  note_event(events, 'released', {'lease', lease_suffix, 'spot', slot .. '#' .. spot, 'reason', reason})
end
return {'released', now, reason}
