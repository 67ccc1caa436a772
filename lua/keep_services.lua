-- keep_services: services of a merchant stay known for longer, whether the merchant has slots or not.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  services        string   a line for each: the field of a service; at most 100
-- ARGV[2]  known_until_ms  integer  until when they stay known at least, epoch ms
-- Returns {status, ...} in order of precedence:
--   over              that moment has passed
--   merchant_unknown  there is no inventory of this merchant
--   kept              those of the services that are known stay so until then
-- Keeps: no service becomes known by it, and none is known for a shorter time.
-- Cost: one read of 100 fields, and two writes.
-- Rights: TIME; PTTL HMGET HDEL HSET PEXPIREAT inventory.
-- Promises: nothing.
-- Repeatable: yes. The moment is absolute.

--@include now_ms
--@include format_ms
--@include each_line
--@include read_fields
--@include require_rights
--@include write_fields

local inventory_key = KEYS[1]
local services = ARGV[1]
local known_until_ms = tonumber(ARGV[2])

local now = now_ms()

local inventory_remaining_ms = redis.call('PTTL', inventory_key)
if known_until_ms <= now then
  return {'over'}
elseif inventory_remaining_ms < 0 then
  return {'merchant_unknown'}
end
local names, kept = each_line(services), {}
for place, until_ms in ipairs(read_fields(inventory_key, names)) do
  if until_ms and tonumber(until_ms) < known_until_ms then
    kept[#kept + 1], kept[#kept + 2] = names[place], format_ms(known_until_ms)
  end
end
require_rights(inventory_key, 'HSET', 'PEXPIREAT')
write_fields(inventory_key, {}, kept)
if inventory_remaining_ms < known_until_ms - now then
  redis.call('PEXPIREAT', inventory_key, format_ms(known_until_ms))
end
return {'kept'}
