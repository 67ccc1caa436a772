-- list_events: holds that have ended by themselves are among the merchant's events, and a page of these is told.
-- KEYS[1]  events_key  stream  what has happened with this merchant
-- ARGV[1]  after         string   the id of the event that was told last, or empty for the first that is kept
-- ARGV[2]  most          integer  how many events to tell, 1-100
-- ARGV[3]  events        string   where events are noted, and how many for how long (lua/README.md)
-- ARGV[4]  slot_prefix   string   what precedes the slot in the slot keys of this merchant
-- ARGV[5]  lease_prefix  string   what precedes the suffix in the lease keys of this merchant
-- Returns {status, ...} in order of precedence:
--   events_missed              the event that was told last is kept no more; others after it may have gone with it
--   listed         token page  what to ask after next; the events, oldest first: each its id, and a list of fields and values
-- Keeps: a reader of every page misses no event, or is told so; the end of a hold is noted once.
-- Cost: O(most), 3 us an event; 25 us for none. At most fifty ends of holds are noted, at 7 us each.
-- Rights: TIME; XLEN PTTL XRANGE XADD PEXPIRE events; ZRANGE ZADD ZREM PEXPIRE expiring; HMGET lease; GET PTTL slot.
-- Promises: nothing.
-- Repeatable: yes. A second run tells the same, and what was noted in between.

--@include now_ms
--@include require_rights
--@include find_expired
--@include note_expired
--@include note_event
--@include keep_events

local events_key = KEYS[1]
local after = ARGV[1]
local most = tonumber(ARGV[2])
local events = ARGV[3]
local slot_prefix = ARGV[4]
local lease_prefix = ARGV[5]

local now = now_ms()

require_rights(events_key, 'PTTL', 'XRANGE')
local expired = find_expired(events, 50, now, slot_prefix, lease_prefix)
note_expired(events, expired)
-- Events last while somebody reads them, or a week in which nothing happens would look like a loss. Seldom written.
local retention_ms, remaining_ms = tonumber(events:match('(%d+)$')), redis.call('PTTL', events_key)
if #expired > 0 or remaining_ms >= 0 and remaining_ms < 0.9 * retention_ms then
  keep_events(events)
end
-- Last, because the stream may have lost its oldest events by now, and the one that was told last among them.
local page = redis.call('XRANGE', events_key, after == '' and '-' or after, '+', 'COUNT', most + 1)
if after ~= '' then
  local told = table.remove(page, 1)
  if not told or told[1] ~= after then
    return {'events_missed'}
  end
elseif #page == 0 then
  -- Only what is in the stream can be missed when it is trimmed. So the moment is an entry, which no page shows; it has
  -- a spot because the release 0.1.1 looks for one.
  note_event(events, 'moment', {'spot', ':1970-01-01T00:00:00Z/PT1S:::0#0'})
  keep_events(events)
  page = redis.call('XRANGE', events_key, '-', '+')
end
if page[1] and page[1][2][2] == 'moment' then
  after = table.remove(page, 1)[1]
end
page[most + 1] = nil
local token = #page > 0 and page[#page][1] or after
return {'listed', token, page}
