-- forget_feed: it is not known that anybody ever had an inventory.
-- KEYS[1]  feed_key  hash  the feed that was imported last, of whomever
-- Returns {status, ...} in order of precedence:
--   forgotten  it is not known any more
-- Keeps: the inventories themselves are left to drop_inventory.
-- Cost: constant; one write.
-- Rights: DEL feed.
-- Promises: nothing.
-- Repeatable: yes. It only removes.

local feed_key = KEYS[1]

redis.call('DEL', feed_key)
return {'forgotten'}
