-- check_availability: nothing changes; the free spots of a slot are counted as create_lease would find them now.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  slot            string   the slot as it stands in slot keys
-- ARGV[2]  slot_prefix     string   what precedes the slot in the slot keys of this merchant
-- ARGV[3]  spots_prefix    string   what precedes the day in the spots keys of this merchant; empty for open inventory
-- ARGV[4]  slot_start_ms   integer  the start of the slot, epoch ms
-- ARGV[5]  min_lease_ms    integer  no slot that starts sooner can be held
-- ARGV[6]  max_advance_ms  integer  no slot that starts later than this from now
-- Returns {status, ...} in order of precedence:
--   start_too_far            the slot begins after more than max_advance_ms
--   merchant_unknown         the inventory does not know the merchant
--   service_unknown          the inventory does not know this service of the merchant
--   counted           count  so many spots are free; 0 once the slot begins within min_lease_ms, or is not in the inventory
-- Keeps: the count agrees with what create_lease would answer at this instant.
-- Cost: one MGET of as many keys as the slot has spots, after two reads where the inventory is strict; none of a slot
-- that is known to be full. lua/README.md has the numbers.
-- Rights: TIME; HMGET EXISTS inventory; HGET spots; EXISTS full; MGET slot.
-- Promises: nothing.
-- Repeatable: yes. It writes nothing.

--@include now_ms
--@include read_spots
--@include read_owners
--@include find_unknown
--@include full_key_of
--@include is_known_full

local inventory_key = KEYS[1]
local slot = ARGV[1]
local slot_prefix = ARGV[2]
local spots_prefix = ARGV[3]
local slot_start_ms = tonumber(ARGV[4])
local min_lease_ms = tonumber(ARGV[5])
local max_advance_ms = tonumber(ARGV[6])

local now = now_ms()

if slot_start_ms > now + max_advance_ms then
  return {'start_too_far'}
elseif slot_start_ms < now + min_lease_ms then
  return {'counted', 0}
end
local spots, highest = read_spots(spots_prefix, slot)
local unknown = not spots and find_unknown(inventory_key, slot)
if unknown == 'merchant' then
  return {'merchant_unknown'}
elseif unknown == 'service' then
  return {'service_unknown'}
elseif not spots or spots == 0 or is_known_full(full_key_of(slot_prefix, slot), highest) then
  return {'counted', 0}
end
local free = spots
for _, owner in ipairs(read_owners(slot_prefix .. slot .. '#', highest)) do
  if owner then
    free = free - 1
  end
end
local count = math.max(0, free)
return {'counted', count}
