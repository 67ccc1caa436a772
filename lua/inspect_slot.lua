-- inspect_slot: nothing changes; it is told of every spot of a slot who has it, and until when.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  slot          string   the slot as it stands in slot keys
-- ARGV[2]  slot_prefix   string   what precedes the slot in the slot keys of this merchant
-- ARGV[3]  spots_prefix  string   what precedes the day in the spots keys of this merchant; empty for open inventory
-- Returns {status, ...} in order of precedence:
--   merchant_unknown                               the inventory does not know the merchant
--   service_unknown                                the inventory does not know this service of the merchant
--   slot_unknown                                   the inventory does not have the slot
--   inspected         now spots ends_at_ms owners  the number of its spots; of each number, and of higher ones in use, end and owner
-- Keeps: all spots are told of one instant.
-- Cost: two reads for each number that the slot has, or that was in use when a feed lowered it.
-- Rights: TIME; HMGET EXISTS inventory; HGET spots; MGET PTTL slot.
-- Promises: nothing.
-- Repeatable: yes. It writes nothing.

--@include now_ms
--@include read_spots
--@include read_owners
--@include find_unknown

local inventory_key = KEYS[1]
local slot = ARGV[1]
local slot_prefix = ARGV[2]
local spots_prefix = ARGV[3]

local now = now_ms()

local spots, highest = read_spots(spots_prefix, slot)
local unknown = not spots and find_unknown(inventory_key, slot)
if unknown == 'merchant' then
  return {'merchant_unknown'}
elseif unknown == 'service' then
  return {'service_unknown'}
elseif not spots then
  return {'slot_unknown'}
end
local spot_stem = slot_prefix .. slot .. '#'
local owners, ends_at_ms = read_owners(spot_stem, highest), {}
for spot = 1, highest do
  ends_at_ms[spot] = owners[spot] and now + redis.call('PTTL', spot_stem .. spot) or 0
end
return {'inspected', now, spots, ends_at_ms, owners}
