-- note_shard: a shard of a cluster has what the feeds before brought to it; a loss of its data is not known to miss any.
-- KEYS[1]  marker_key  hash  the marker of the shard
-- ARGV[1]  is_listed  integer  1 when the feed lists a merchant of this shard, else 0
-- Returns {status, ...} in order of precedence:
--   lost   the shard has lost data, and no feed has brought anything since then
--   noted  a merchant who is not known on this shard is known to nobody
-- Keeps: it is written in the marker, so that it is lost with the shard's data; a feed for other shards does not bring it back.
-- Cost: constant; one read and two writes.
-- Rights: TIME; HMGET HSET marker.
-- Promises: nothing.
-- Repeatable: yes. It says the same again.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record

local marker_key = KEYS[1]
local is_listed = ARGV[1]

local now = now_ms()
local lost_at_ms, inventory_at_ms = unpack(read_record(marker_key, 'lost_at_ms', 'inventory_at_ms'))
if is_listed == '0' and not inventory_at_ms and tonumber(lost_at_ms or '0') > 0 then
  return {'lost'}
end
require_rights(marker_key, 'HSET')
-- In two commands, as in beat.lua: a server that drops transactions when it restarts drops this with the inventory.
redis.call('HSET', marker_key, 'v', '1')
redis.call('HSET', marker_key, 'inventory_at_ms', format_ms(now))
return {'noted'}
