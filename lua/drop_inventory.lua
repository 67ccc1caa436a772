-- drop_inventory: nothing of a merchant's inventory is there any more, and the merchant is unknown.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  spots_prefix  string  what precedes the day in the spots keys of this merchant
-- ARGV[2]  slot_prefix   string  what precedes the slot in the slot keys of this merchant
-- Returns {status, ...} in order of precedence:
--   merchant_unknown           there is no inventory of this merchant
--   dropped           removed  so many slots are gone
-- Keeps: holds and bookings stand, and count should their slots come back.
-- Cost: one read a slot, and one MGET of N keys for a slot with N spots.
-- Rights: HKEYS DEL inventory; HGETALL HDEL HSET spots; MGET slot.
-- Promises: nothing.
-- Repeatable: yes. It only removes.

--@include require_rights
--@include find_tombstone
--@include write_fields

local inventory_key = KEYS[1]
local spots_prefix = ARGV[1]
local slot_prefix = ARGV[2]

local gone_by_key, kept_by_key, removed = {}, {}, 0
for _, field in ipairs(redis.call('HKEYS', inventory_key)) do
  local day = field:match('^day:(.*)$')
  if day then
    local spots_key, gone, kept = spots_prefix .. day, {}, {}
    local stored = redis.call('HGETALL', spots_key)
    for i = 1, #stored, 2 do
      local slot, spots, highest = stored[i], stored[i + 1]:match('^(%d+) (%d+)$')
      local tombstone = find_tombstone(slot_prefix .. slot .. '#', tonumber(highest))
      if tombstone then
        kept[#kept + 1], kept[#kept + 2] = slot, tombstone
      else
        gone[#gone + 1] = slot
      end
      removed = removed + (spots == '0' and 0 or 1)
    end
    gone_by_key[spots_key], kept_by_key[spots_key] = gone, kept
    require_rights(spots_key, 'HDEL', 'HSET')
  end
end

if redis.call('DEL', inventory_key) == 0 then
  return {'merchant_unknown'}
end
for spots_key, gone in pairs(gone_by_key) do
  write_fields(spots_key, gone, kept_by_key[spots_key])
end
return {'dropped', removed}
