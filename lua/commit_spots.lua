-- commit_spots: some slots of a merchant's UTC day are what was staged for them; one step of a commit.
-- KEYS[1]  spots_key      hash  the inventory of that day: spots, and the highest number in use, of each slot
-- KEYS[2]  stage_key      hash  the slots that are listed: spots in total, spots open, place in the import, of each, after
--                               a < where the numbers only bound the slot; and how many slots are gone so far
-- KEYS[3]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  day              string   of the UTC calendar, 2026-12-01
-- ARGV[2]  staged_slots     integer  how many slots were staged, perhaps none
-- ARGV[3]  generated_at_ms  integer  when the feed was made, epoch ms
-- ARGV[4]  keep_until_ms    integer  when the inventory of that day ends, epoch ms
-- ARGV[5]  step             string   lower: numbers only fall; close: and what is not listed is gone; open: and numbers
--                                    rise and slots are added
-- ARGV[6]  slots            string   a line for each slot that the feed speaks of; at most 100
-- ARGV[7]  slot_prefix      string   what precedes the slot in the slot keys of this merchant
-- ARGV[8]  booking_prefix   string   what precedes the suffix in the booking keys of this merchant
-- ARGV[9]  repeat_ms        integer  how long the stage outlives the last call
-- ARGV[10] day_start_s      integer  when the day begins, epoch seconds
-- Returns {status, ...} in order of precedence:
--   day_over                        that day's inventory has ended
--   older_feed                      all of the day is known from a feed that was made later
--   dropped                         the inventory was dropped meanwhile
--   stage_incomplete                not all that was staged is there any more
--   committed         done removed  the first so many of the slots are as the feed says; so many of the day are gone so far
-- Keeps: a slot changes in one step, and not at all where a feed that was made later speaks of it; it has no more spots
-- than the feed says in total, nor than it says are open beside the standing bookings made before; a slot that is gone or
-- shrunk still counts who is on it.
-- Cost: at most 1500 fields and keys are read, or as many as one slot with 1000 spots needs: 2000. A slot is two fields; a
-- number above its spots that it once had is a key; two later claims, of 100 at most, count as one; where spots are not
-- open, each spot is a key, and each booking a field.
-- Rights: TIME; HMGET HDEL HSET PEXPIREAT spots; HMGET HLEN HINCRBY PEXPIRE stage; HMGET HDEL HSET inventory; MGET slot;
--   HMGET booking; EXISTS DEL full.
-- Promises: nothing.
-- Repeatable: yes. The numbers do not depend on what they were, and what is gone is counted once.

--@include now_ms
--@include format_ms
--@include each_line
--@include read_fields
--@include read_owners
--@include require_rights
--@include read_record
--@include close_slot
--@include highest_in_use
--@include full_key_of
--@include is_known_full
--@include read_order
--@include later_claims
--@include is_claimed
--@include write_fields

local spots_key = KEYS[1]
local stage_key = KEYS[2]
local inventory_key = KEYS[3]
local day = ARGV[1]
local staged_slots = tonumber(ARGV[2])
local generated_at_ms = tonumber(ARGV[3])
local keep_until_ms = tonumber(ARGV[4])
local step = ARGV[5]
local slots = ARGV[6]
local slot_prefix = ARGV[7]
local booking_prefix = ARGV[8]
local repeat_ms = ARGV[9]
local day_start_s = tonumber(ARGV[10])

local now = now_ms()

local known = read_record(inventory_key, 'day:' .. day, 'dropping', 'order')
local newest_ms, whole_ms, of_day = read_order(known[1])
if keep_until_ms <= now then
  return {'day_over'}
elseif whole_ms > generated_at_ms then
  return {'older_feed'}
elseif newest_ms < generated_at_ms or known[2] then
  return {'dropped'}
elseif redis.call('HLEN', stage_key) ~= staged_slots + 1 then
  return {'stage_incomplete'}
end

-- The feed counted bookings that were made before it among the spots that are not open; ours would count them again.
-- Returns how many these are, as far as it matters, and the highest number in use.
local function count_booked_before(spot_stem, highest, enough)
  local count, in_use = 0, 0
  for spot, owner in ipairs(read_owners(spot_stem, highest)) do
    local booking = owner and count < enough and owner:match('^booking (%w+)')
    local made = booking and redis.call('HMGET', booking_prefix .. booking, 'v', 'taken_at_ms') or {}
    -- One whose layout only a later release knows counts as made since: rather too few spots than too many.
    if made[2] and knows_layout(made[1]) and tonumber(made[2]) <= generated_at_ms then
      count = count + 1
    end
    in_use = owner and spot or in_use
  end
  return count, in_use
end

local later = later_claims(of_day, known[3] or '', day_start_s, generated_at_ms)
local names = each_line(slots)
local stored, staged = read_fields(spots_key, names), read_fields(stage_key, names)
local gone, kept, full_keys, services, removed, done, cost = {}, {}, {}, {}, 0, 0, 0
for place, slot in ipairs(names) do
  local spot_stem, entry, listed = slot_prefix .. slot .. '#', stored[place], staged[place]
  if is_claimed(later, slot) then
    entry, listed = nil, nil
  end
  local bound, total, open = (listed or ' 0 0'):match('^(.-)(%d+) (%d+)')
  local before, highest = (entry or '0 0'):match('^(%d+) (%d+)$')
  local spots, spots_before, open_spots = tonumber(total), tonumber(before), tonumber(open)
  highest = tonumber(highest)
  local reads = 8 + #later / 2 + (open_spots < spots and 2 * math.max(highest, spots) or math.max(0, highest - spots))
  if done > 0 and cost + reads > 1500 then
    break
  end
  done, cost = done + 1, cost + reads
  if entry and not listed and step ~= 'lower' then
    local rest = close_slot(spot_stem, highest)
    if rest then
      kept[#kept + 1], kept[#kept + 2] = slot, rest
    else
      gone[#gone + 1] = slot
    end
    removed = removed + (spots_before == 0 and 0 or 1)
  elseif listed and (entry or step == 'open' and bound == '') then
    local booked, in_use
    if open_spots < spots then
      booked, in_use = count_booked_before(spot_stem, math.max(highest, spots), spots - open_spots)
      spots = math.min(spots, open_spots + booked)
    end
    if bound == '<' then
      spots = math.min(spots, spots_before)
    end
    if step == 'open' or spots < spots_before then
      highest = in_use and math.max(spots, in_use) or highest_in_use(spot_stem, spots, highest)
      kept[#kept + 1], kept[#kept + 2] = slot, spots .. ' ' .. highest
    end
    if step == 'open' then
      services['service:' .. slot:match('^[^:]*')] = true
    end
    if spots > spots_before then
      local full_key = full_key_of(slot_prefix, slot)
      full_keys[#full_keys + 1] = is_known_full(full_key, highest) and full_key or nil
    end
  end
end

local service_fields, about_services = {}, {}
for service in pairs(services) do
  service_fields[#service_fields + 1] = service
end
for place, until_ms in ipairs(read_fields(inventory_key, service_fields)) do
  if tonumber(until_ms or '0') < keep_until_ms then
    about_services[#about_services + 1] = service_fields[place]
    about_services[#about_services + 1] = format_ms(keep_until_ms)
  end
end

require_rights(spots_key, 'HDEL', 'HSET', 'PEXPIREAT')
require_rights(inventory_key, 'HDEL', 'HSET')
require_rights(stage_key, 'HINCRBY', 'PEXPIRE')
if #full_keys > 0 then
  redis.call('DEL', unpack(full_keys))
end
write_fields(spots_key, gone, kept)
redis.call('PEXPIREAT', spots_key, format_ms(keep_until_ms))
write_fields(inventory_key, {}, about_services)
local removed_so_far = redis.call('HINCRBY', stage_key, 'removed', removed)
redis.call('PEXPIRE', stage_key, repeat_ms)
return {'committed', done, removed_so_far}
