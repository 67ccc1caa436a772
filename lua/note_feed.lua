-- note_feed: an inventory was loaded, and it is known from which feed.
-- KEYS[1]  feed_key  hash  the feed that was imported last, of whomever
-- ARGV[1]  generated_at_ms  integer  when the feed was made, epoch ms
-- ARGV[2]  keep_until_ms    integer  when the last day of its inventory ends, epoch ms
-- ARGV[3]  notes_shards     integer  1 when the markers of all shards say that their merchants are known, else 0
-- Returns {status, ...} in order of precedence:
--   over   all of its days have ended
--   noted  it is known
-- Keeps: it is known at least as long as any inventory lasts.
-- Cost: constant; two reads and two writes.
-- Rights: TIME; PTTL HMGET HSET PEXPIREAT feed.
-- Promises: nothing.
-- Repeatable: yes. It says the same again.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record

local feed_key = KEYS[1]
local generated_at_ms = ARGV[1]
local keep_until_ms = tonumber(ARGV[2])
local notes_shards = ARGV[3]

local now = now_ms()
if keep_until_ms <= now then
  return {'over'}
end
local remaining_ms = redis.call('PTTL', feed_key)
read_record(feed_key, 'imported_at_ms')
require_rights(feed_key, 'PEXPIREAT')
redis.call('HSET', feed_key, 'v', '1', 'generated_at_ms', generated_at_ms, 'imported_at_ms', format_ms(now),
  'shards_at_ms', notes_shards == '1' and format_ms(now) or '0')
if remaining_ms < keep_until_ms - now then
  redis.call('PEXPIREAT', feed_key, format_ms(keep_until_ms))
end
return {'noted'}
