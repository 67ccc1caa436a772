-- note_complete: no feed that was made before this complete one adds a merchant that the store does not know.
-- KEYS[1]  feed_key  hash  the feeds that were imported last, of whomever
-- ARGV[1]  generated_at_ms  integer  when the complete feed was made, epoch ms
-- ARGV[2]  keep_until_ms    integer  when the last day of its inventory ends, epoch ms
-- Returns {status, ...} in order of precedence:
--   over   all of its days have ended
--   noted  it is known
-- Keeps: of two complete feeds the later one counts. That there is an inventory does not follow from it.
-- Cost: constant; two reads and two writes.
-- Rights: TIME; PTTL HMGET HSET PEXPIREAT feed.
-- Promises: nothing.
-- Repeatable: yes. It says the same again.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record

local feed_key = KEYS[1]
local generated_at_ms = tonumber(ARGV[1])
local keep_until_ms = tonumber(ARGV[2])

local now = now_ms()
if keep_until_ms <= now then
  return {'over'}
end
local remaining_ms = redis.call('PTTL', feed_key)
local complete_ms = math.max(generated_at_ms, tonumber(read_record(feed_key, 'complete_ms')[1] or '0'))
require_rights(feed_key, 'PEXPIREAT')
redis.call('HSET', feed_key, 'v', '1', 'complete_ms', format_ms(complete_ms))
if remaining_ms < keep_until_ms - now then
  redis.call('PEXPIREAT', feed_key, format_ms(keep_until_ms))
end
return {'noted'}
