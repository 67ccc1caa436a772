-- begin_drop: a merchant's inventory is about to be forgotten, unless a feed comes in between; or nothing has changed.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- KEYS[2]  stage_key      hash  how many slots are gone so far
-- ARGV[1]  drop_id    string   tells this drop from another
-- ARGV[2]  repeat_ms  integer  how long the stage outlives the last call
-- Returns {status, ...} in order of precedence:
--   merchant_unknown  there is no inventory of this merchant
--   begun             slots of this merchant may be taken out by drop_spots
-- Keeps: a feed on its way in adds no slot from now on; one that is loaded afterwards ends the drop.
-- Cost: constant: one read and three writes.
-- Rights: HMGET EXISTS HSET inventory; HLEN HSETNX PEXPIRE stage.
-- Promises: nothing.
-- Repeatable: yes. It says the same again, and what is counted so far stays.

--@include require_rights
--@include read_record

local inventory_key = KEYS[1]
local stage_key = KEYS[2]
local drop_id = ARGV[1]
local repeat_ms = ARGV[2]

redis.call('HLEN', stage_key)
read_record(inventory_key, 'dropping')
if redis.call('EXISTS', inventory_key) == 0 then
  return {'merchant_unknown'}
end
require_rights(stage_key, 'HSETNX', 'PEXPIRE')
redis.call('HSET', inventory_key, 'dropping', drop_id)
redis.call('HSETNX', stage_key, 'removed', 0)
redis.call('PEXPIRE', stage_key, repeat_ms)
return {'begun'}
