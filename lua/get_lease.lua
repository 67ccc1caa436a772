-- get_lease: nothing changes; it is told what is remembered of a lease, and what has become of it.
-- KEYS[1]  lease_key  hash  the record of the lease
-- ARGV[1]  lease_suffix  string   26 characters
-- ARGV[2]  slot_prefix   string   what precedes the slot in the slot keys of this merchant
-- Returns {status, ...} in order of precedence:
--   lease_unknown                            no such lease is remembered
--   found          state remaining_ms record  held, consumed, released or expired; how long its hold lasts; its fields
-- Keeps: held means that the spot key says so now; the remaining time is that key's own TTL.
-- Cost: constant: at most three reads.
-- Rights: HMGET lease; GET PTTL slot.
-- Promises: nothing.
-- Repeatable: yes. It writes nothing.

--@include read_record
--@include spot_of

local lease_key = KEYS[1]
local lease_suffix = ARGV[1]
local slot_prefix = ARGV[2]

local record = read_record(lease_key,
  'slot', 'spot', 'reference', 'expires_at_ms', 'created_at_ms', 'booking', 'consumed_at_ms',
  'released_at_ms', 'release_reason', 'extended_at_ms', 'extensions', 'extend_reason')
local slot, spot, booking, released_at_ms = record[1], record[2], record[6], record[8]
if not slot then
  return {'lease_unknown'}
end
local spot_key, is_owner = spot_of(slot_prefix, slot, spot, lease_suffix)
local state = booking and 'consumed' or is_owner and 'held' or released_at_ms and 'released' or 'expired'
local remaining_ms = state == 'held' and redis.call('PTTL', spot_key) or 0
return {'found', state, remaining_ms, record}
