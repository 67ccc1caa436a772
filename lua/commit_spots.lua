-- commit_spots: the inventory of one merchant and UTC day is what was staged for it; or nothing has changed.
-- KEYS[1]  spots_key      hash  the inventory of that day: spots, and the highest number ever, of each slot
-- KEYS[2]  stage_key      hash  the slots that are listed: spots in total, spots open, place in the import, of each
-- KEYS[3]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  day              string   of the UTC calendar, 2026-12-01
-- ARGV[2]  staged_slots     integer  how many slots were staged, perhaps none
-- ARGV[3]  generated_at_ms  integer  when the feed was made, epoch ms
-- ARGV[4]  keep_until_ms    integer  when the inventory of that day ends, epoch ms
-- ARGV[5]  scopes           string   a line for each: service, first start, end of starts, duration, staff, room, party
--                                    size, as in slot keys; * for any. What is in none of these stays as it is
-- ARGV[6]  slot_prefix      string   what precedes the slot in the slot keys of this merchant
-- ARGV[7]  booking_prefix   string   what precedes the suffix in the booking keys of this merchant
-- ARGV[8]  repeat_ms        integer  how long the stage stays, in case that this is sent again
-- Returns {status, ...} in order of precedence:
--   day_over                      that day's inventory has ended
--   older_feed                    the day is known from a feed that was made later
--   stage_incomplete              not all that was staged is there any more
--   committed         removed     the listed slots are there, and no others in the scopes; so many are gone
-- Keeps: nobody sees half a day; a slot has no more spots than the feed says in total, nor than it says are open beside
-- the standing bookings made before; a slot that is gone or shrunk still counts who is on it.
-- Cost: one read a slot that is listed or there. One MGET of N keys for a slot with N spots that is gone, or whose open
-- spots are fewer than its spots, and one HGET for each booking on those.
-- Rights: TIME; HGETALL HDEL HSET PEXPIREAT spots; HGETALL HLEN PEXPIRE stage; HGETALL PTTL HDEL HSET PEXPIREAT inventory;
--   MGET slot; HGET booking.
-- Promises: nothing.
-- Repeatable: yes. The stage stays for a while.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_owners
--@include find_tombstone
--@include write_fields

local spots_key = KEYS[1]
local stage_key = KEYS[2]
local inventory_key = KEYS[3]
local day = ARGV[1]
local staged_slots = ARGV[2]
local generated_at_ms = tonumber(ARGV[3])
local keep_until_ms = tonumber(ARGV[4])
local scopes = ARGV[5]
local slot_prefix = ARGV[6]
local booking_prefix = ARGV[7]
local repeat_ms = ARGV[8]

local now = now_ms()

local function hash(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

local inventory = hash(inventory_key)
local known_from_ms = tonumber((inventory['day:' .. day] or '0'):match('^%d+'))
if keep_until_ms <= now then
  return {'day_over'}
elseif known_from_ms > generated_at_ms then
  return {'older_feed'}
elseif redis.call('HLEN', stage_key) ~= tonumber(staged_slots) then
  return {'stage_incomplete'}
end

local function is_in_scope(slot)
  local service, start, duration, staff, room, party_size =
    slot:match('^([^:]*):([^/]*)/([^:]*):([^:]*):([^:]*):(%d+)$')
  local function agrees(wanted, found)
    return wanted == '*' or wanted == found
  end
  for of, from, to, long, by, at, for_so_many in
    scopes:gmatch('(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)\n') do
    -- Times in UTC stand in the order of their letters.
    if agrees(of, service) and (from == '*' or from <= start) and (to == '*' or start < to)
        and agrees(long, duration) and agrees(by, staff) and agrees(at, room)
        and agrees(for_so_many, party_size) then
      return true
    end
  end
  return false
end

-- The feed counted bookings that were made before it among the spots that are not open; ours would count them again.
local function count_booked_before(spot_stem, highest)
  local count = 0
  for _, owner in ipairs(read_owners(spot_stem, highest)) do
    local booking = owner and owner:match('^booking (%w+)')
    local taken_at_ms = booking and redis.call('HGET', booking_prefix .. booking, 'taken_at_ms')
    if taken_at_ms and tonumber(taken_at_ms) <= generated_at_ms then
      count = count + 1
    end
  end
  return count
end

local stored, staged = hash(spots_key), hash(stage_key)
local gone, kept, about_inventory, removed = {}, {}, {}, 0
for slot, entry in pairs(stored) do
  if not staged[slot] and is_in_scope(slot) then
    local spots, highest = entry:match('^(%d+) (%d+)$')
    local tombstone = find_tombstone(slot_prefix .. slot .. '#', tonumber(highest))
    if tombstone then
      kept[#kept + 1], kept[#kept + 2] = slot, tombstone
    else
      gone[#gone + 1] = slot
    end
    removed = removed + (spots == '0' and 0 or 1)
  end
end
for slot, entry in pairs(staged) do
  local total, open = entry:match('^(%d+) (%d+)')
  local spots, open_spots = tonumber(total), tonumber(open)
  local highest = tonumber((stored[slot] or '0 0'):match('%d+$'))
  if open_spots < spots then
    local booked = count_booked_before(slot_prefix .. slot .. '#', math.max(highest, spots))
    spots = math.min(spots, open_spots + booked)
  end
  kept[#kept + 1], kept[#kept + 2] = slot, spots .. ' ' .. math.max(highest, spots)
  local service = 'service:' .. slot:match('^[^:]*')
  if tonumber(inventory[service] or '0') < keep_until_ms then
    inventory[service] = format_ms(keep_until_ms)
    about_inventory[#about_inventory + 1], about_inventory[#about_inventory + 2] = service, inventory[service]
  end
end

local over = {}
for field, value in pairs(inventory) do
  if field ~= 'v' and tonumber(value:match('%d+$')) <= now then
    over[#over + 1] = field
  end
end
about_inventory[#about_inventory + 1], about_inventory[#about_inventory + 2] = 'v', '1'
about_inventory[#about_inventory + 1], about_inventory[#about_inventory + 2] =
  'day:' .. day, format_ms(generated_at_ms) .. ' ' .. format_ms(keep_until_ms)
local inventory_remaining_ms = redis.call('PTTL', inventory_key)

require_rights(spots_key, 'HDEL', 'HSET', 'PEXPIREAT')
require_rights(inventory_key, 'HDEL', 'HSET', 'PEXPIREAT')
require_rights(stage_key, 'PEXPIRE')
write_fields(spots_key, gone, kept)
redis.call('PEXPIREAT', spots_key, format_ms(keep_until_ms))
write_fields(inventory_key, over, about_inventory)
if inventory_remaining_ms < keep_until_ms - now then
  redis.call('PEXPIREAT', inventory_key, format_ms(keep_until_ms))
end
redis.call('PEXPIRE', stage_key, repeat_ms)
return {'committed', removed}
