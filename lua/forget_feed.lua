-- forget_feed: it is not known that anybody ever had an inventory.
-- KEYS[1]  feed_key  hash  the feed that was imported last, of whomever
-- Returns {status, ...} in order of precedence:
--   forgotten  it is not known any more
-- Keeps: the inventories themselves are left to drop_inventory.
-- Cost: constant; one read and one write.
-- Rights: HMGET DEL feed.
-- Promises: nothing.
-- Repeatable: yes. It only removes.

--@include read_record

local feed_key = KEYS[1]

read_record(feed_key, 'imported_at_ms')
redis.call('DEL', feed_key)
return {'forgotten'}
