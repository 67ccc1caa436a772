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
-- Returns {status, ...} in order of precedence:
--   day_over                    that day's inventory has ended
--   older_feed                  a later feed says what there is on the day, or a later complete one lists no such merchant
--   stage_incomplete            not all that was staged is there any more
--   begun             stored    the day is known from this feed; so many slots of it are stored
-- Keeps: a feed that was made earlier changes nothing of the day from now on, even if this load breaks off.
-- Cost: constant: at most eight reads, one of them of 100 fields, and seven writes.
-- Rights: TIME; HMGET PTTL HDEL HSET PEXPIREAT inventory; HLEN HEXISTS HSETNX PEXPIRE stage; HLEN spots.
-- Promises: nothing.
-- Repeatable: yes. It says the same again, and what is counted so far stays.

--@include now_ms
--@include format_ms
--@include each_line
--@include read_fields
--@include require_rights
--@include read_record
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

local now = now_ms()

local inventory_remaining_ms = redis.call('PTTL', inventory_key)
local known_from, left_out_ms = unpack(read_record(inventory_key, 'day:' .. day, 'left_out'))
local newest_ms = math.max(tonumber((known_from or '0'):match('^%d+')), tonumber(left_out_ms or '0'))
-- Of a merchant without a key it is not written anywhere that a complete feed leaves the merchant out.
if inventory_remaining_ms == -2 then
  newest_ms = complete_ms
end
if keep_until_ms <= now then
  return {'day_over'}
elseif newest_ms > generated_at_ms then
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

require_rights(inventory_key, 'HSET', 'PEXPIREAT')
require_rights(stage_key, 'HSETNX', 'PEXPIRE')
write_fields(inventory_key, gone, {
  'v', '1', 'day:' .. day, format_ms(generated_at_ms) .. ' ' .. format_ms(keep_until_ms)})
if inventory_remaining_ms < keep_until_ms - now then
  redis.call('PEXPIREAT', inventory_key, format_ms(keep_until_ms))
end
redis.call('HSETNX', stage_key, 'removed', 0)
redis.call('PEXPIRE', stage_key, repeat_ms)
return {'begun', stored}
