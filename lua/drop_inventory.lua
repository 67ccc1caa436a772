-- drop_inventory: a merchant whose slots are gone is unknown; the last step of a drop.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  drop_id  string  tells this drop from another
-- Returns {status, ...} in order of precedence:
--   loaded_meanwhile  a feed, or another drop, has come in between
--   dropped           there is no inventory of this merchant
-- Keeps: slots of a feed that came in between stay, and the merchant with them.
-- Cost: constant: two reads, and one write that leaves the work to another thread of the store.
-- Rights: HMGET EXISTS UNLINK inventory.
-- Promises: nothing.
-- Repeatable: yes. It only removes.

--@include read_record

local inventory_key = KEYS[1]
local drop_id = ARGV[1]

local dropping = read_record(inventory_key, 'dropping')[1]
if dropping ~= drop_id and redis.call('EXISTS', inventory_key) == 1 then
  return {'loaded_meanwhile'}
end
redis.call('UNLINK', inventory_key)
return {'dropped'}
