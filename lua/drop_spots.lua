-- drop_spots: some slots of a merchant's UTC day are gone; one step of a drop.
-- KEYS[1]  spots_key      hash  the inventory of that day
-- KEYS[2]  stage_key      hash  how many slots are gone so far
-- KEYS[3]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  drop_id      string   tells this drop from another
-- ARGV[2]  slots        string   a line for each slot; at most 100
-- ARGV[3]  slot_prefix  string   what precedes the slot in the slot keys of this merchant
-- ARGV[4]  repeat_ms    integer  how long the stage outlives the last call
-- Returns {status, ...} in order of precedence:
--   loaded_meanwhile                a feed, or another drop, has come in between
--   emptied           done removed  the first so many of the slots are gone; so many of the merchant are so far
-- Keeps: holds and bookings stand, and count should their slots come back.
-- Cost: at most 1500 fields and keys are read: a field a slot, and a key for each number that it once had.
-- Rights: HMGET inventory; HLEN HINCRBY PEXPIRE stage; HMGET HDEL HSET spots; MGET slot.
-- Promises: nothing.
-- Repeatable: yes. What is gone is counted once.

--@include each_line
--@include read_fields
--@include require_rights
--@include read_record
--@include close_slot
--@include write_fields

local spots_key = KEYS[1]
local stage_key = KEYS[2]
local inventory_key = KEYS[3]
local drop_id = ARGV[1]
local slots = ARGV[2]
local slot_prefix = ARGV[3]
local repeat_ms = ARGV[4]

if read_record(inventory_key, 'dropping')[1] ~= drop_id then
  return {'loaded_meanwhile'}
end
redis.call('HLEN', stage_key)
local names, gone, kept, removed, done, cost = each_line(slots), {}, {}, 0, 0, 0
for place, entry in ipairs(read_fields(spots_key, names)) do
  local slot, spots, highest = names[place], (entry or '0 0'):match('^(%d+) (%d+)$')
  cost = cost + 8 + tonumber(highest)
  if done > 0 and cost > 1500 then
    break
  end
  done = done + 1
  local rest = close_slot(slot_prefix .. slot .. '#', tonumber(highest))
  if rest then
    kept[#kept + 1], kept[#kept + 2] = slot, rest
  elseif entry then
    gone[#gone + 1] = slot
  end
  removed = removed + (spots == '0' and 0 or 1)
end
require_rights(spots_key, 'HSET')
require_rights(stage_key, 'HINCRBY', 'PEXPIRE')
write_fields(spots_key, gone, kept)
local removed_so_far = redis.call('HINCRBY', stage_key, 'removed', removed)
redis.call('PEXPIRE', stage_key, repeat_ms)
return {'emptied', done, removed_so_far}
