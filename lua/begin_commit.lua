-- begin_commit: the UTC day of a merchant is known from a feed from now on, and its slots are about to follow.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- KEYS[2]  stage_key      hash  the slots that are listed; and how many are gone so far
-- KEYS[3]  spots_key      hash  the inventory of that day
-- ARGV[1]  day              string   of the UTC calendar, 2026-12-01
-- ARGV[2]  staged_slots     integer  how many slots were staged, perhaps none
-- ARGV[3]  generated_at_ms  integer  when the feed was made, epoch ms
-- ARGV[4]  keep_until_ms    integer  when the inventory of that day ends, epoch ms
-- ARGV[5]  perhaps_over     string   a line for each field of the inventory that may have ended; at most 100
-- ARGV[6]  repeat_ms        integer  how long the stage outlives the last call
-- ARGV[7]  complete_ms      integer  when the latest complete feed was made, epoch ms; 0 when there is none
-- ARGV[8]  claims           string   a line for each thing that the feed is complete for on that day, as in lua/README.md,
--                                    starts in seconds of the day; at most 100
-- ARGV[9]  kept_claims      string   those of them that note_order has not noted for more than one day
-- ARGV[10] day_start_s      integer  when the day begins, epoch seconds
-- Returns {status, ...} in order of precedence:
--   day_over                    that day's inventory has ended
--   older_feed                  later feeds say what there is of all of that, or a later complete one lists no such merchant
--   stage_incomplete            not all that was staged is there any more
--   begun      stored in_part   the feed counts from now on; so many slots of the day are stored, and 1 if later feeds speak of some
-- Keeps: a feed that was made earlier changes nothing from now on of what this one speaks of, even if this load breaks off.
-- Cost: at most eight reads, one of them of 100 fields, and seven writes. The claims, 150 at most, are held against one another.
-- Rights: TIME; HMGET PTTL HDEL HSET PEXPIREAT inventory; HLEN HEXISTS HSETNX PEXPIRE stage; HLEN spots.
-- Promises: nothing.
-- Repeatable: yes. It says the same again, and what is counted so far stays.

--@include now_ms
--@include format_ms
--@include each_line
--@include read_fields
--@include require_rights
--@include read_record
--@include read_order
--@include later_claims
--@include is_covered
--@include keep_claims
--@include write_fields

local inventory_key = KEYS[1]
local stage_key = KEYS[2]
local spots_key = KEYS[3]
local day = ARGV[1]
local staged_slots = tonumber(ARGV[2])
local generated_at_ms = tonumber(ARGV[3])
local keep_until_ms = tonumber(ARGV[4])
local perhaps_over = ARGV[5]
local repeat_ms = ARGV[6]
local complete_ms = tonumber(ARGV[7])
local claims = ARGV[8]
local kept_claims = ARGV[9]
local day_start_s = tonumber(ARGV[10])

local now = now_ms()

local inventory_remaining_ms = redis.call('PTTL', inventory_key)
local known_from, left_out_ms, of_merchant = unpack(read_record(inventory_key, 'day:' .. day, 'left_out', 'order'))
local newest_ms, whole_ms, of_day = read_order(known_from)
local base_ms = math.max(whole_ms, tonumber(left_out_ms or '0'))
local later = later_claims(of_day, of_merchant or '', day_start_s, generated_at_ms)
local is_left = true
for _, claim in ipairs(read_claims(claims, 0)) do
  is_left = is_left and is_covered(later, claim)
end
-- Of a merchant without a key it is not written anywhere that a complete feed leaves the merchant out.
if inventory_remaining_ms == -2 then
  base_ms = complete_ms
end
if keep_until_ms <= now then
  return {'day_over'}
elseif base_ms > generated_at_ms or is_left then
  return {'older_feed'}
elseif redis.call('HLEN', stage_key) - redis.call('HEXISTS', stage_key, 'removed') ~= staged_slots then
  return {'stage_incomplete'}
end

-- A merchant who is being dropped is so no more.
local names, gone = each_line(perhaps_over), {'dropping'}
for place, value in ipairs(read_fields(inventory_key, names)) do
  if value and tonumber(value:match('%d+$')) <= now then
    gone[#gone + 1] = names[place]
  end
end
local stored = redis.call('HLEN', spots_key)
local known_ms = math.max(newest_ms, generated_at_ms)
local since_ms, kept = keep_claims(whole_ms, read_claims(of_day .. '|' .. kept_claims, 0))
local order = (kept ~= '' or since_ms < known_ms) and format_ms(since_ms) .. kept .. ' ' or ''
local in_part = #later > 0 and 1 or 0

require_rights(inventory_key, 'HSET', 'PEXPIREAT')
require_rights(stage_key, 'HSETNX', 'PEXPIRE')
write_fields(inventory_key, gone, {
  'v', '1', 'day:' .. day, format_ms(known_ms) .. ' ' .. order .. format_ms(keep_until_ms)})
if inventory_remaining_ms < keep_until_ms - now then
  redis.call('PEXPIREAT', inventory_key, format_ms(keep_until_ms))
end
redis.call('HSETNX', stage_key, 'removed', 0)
redis.call('PEXPIRE', stage_key, repeat_ms)
return {'begun', stored, in_part}
