-- leave_out: a merchant that a complete feed does not list stays known, and no earlier feed adds to that merchant.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  services         string   a line for each: the field of a service; at most 100
-- ARGV[2]  known_until_ms   integer  until when merchant and services stay known at least, epoch ms
-- ARGV[3]  generated_at_ms  integer  when the feed was made that does not list the merchant, epoch ms
-- Returns {status, ...} in order of precedence:
--   over      that moment has passed, and nothing else keeps the merchant known
--   left_out  no feed that was made earlier adds to the merchant; those of the services that are known stay so
-- Keeps: no service becomes known by it, and none is known for a shorter time; of two feeds the later one counts.
-- Cost: two reads, one of 101 fields, and two writes.
-- Rights: TIME; PTTL HMGET HDEL HSET PEXPIREAT inventory.
-- Promises: nothing.
-- Repeatable: yes. The moments are absolute.

--@include now_ms
--@include format_ms
--@include each_line
--@include require_rights
--@include read_record
--@include write_fields

local inventory_key = KEYS[1]
local services = ARGV[1]
local known_until_ms = tonumber(ARGV[2])
local generated_at_ms = tonumber(ARGV[3])

local now = now_ms()

local inventory_remaining_ms = redis.call('PTTL', inventory_key)
if known_until_ms <= now and inventory_remaining_ms < 0 then
  return {'over'}
end
local names = each_line(services)
names[#names + 1] = 'left_out'
local stored = read_record(inventory_key, unpack(names))
local left_out_ms = math.max(generated_at_ms, tonumber(stored[#names] or '0'))
local kept = {'v', '1', 'left_out', format_ms(left_out_ms)}
for place = 1, #names - 1 do
  if stored[place] and tonumber(stored[place]) < known_until_ms then
    kept[#kept + 1], kept[#kept + 2] = names[place], format_ms(known_until_ms)
  end
end
require_rights(inventory_key, 'HSET', 'PEXPIREAT')
write_fields(inventory_key, {}, kept)
if inventory_remaining_ms < known_until_ms - now then
  redis.call('PEXPIREAT', inventory_key, format_ms(known_until_ms))
end
return {'left_out'}
