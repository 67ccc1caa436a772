-- extend_lease: the lease is held until the later of its expiry and the one granted now; or nothing has changed.
-- KEYS[1]  lease_key  hash  the record of the lease
-- ARGV[1]  lease_suffix      string   26 characters
-- ARGV[2]  slot_prefix       string   what precedes the slot in the slot keys of this merchant
-- ARGV[3]  asked_expires_ms  integer  the expiry asked for, epoch ms
-- ARGV[4]  max_lease_ms      integer  nothing longer is granted from now on
-- ARGV[5]  max_life_ms       integer  nothing longer is granted from its creation on
-- ARGV[6]  retention_ms      integer  how long the record outlives the hold
-- ARGV[7]  reason            string   why, 1-200 bytes
-- ARGV[8]  events            string   where events are noted, and how many for how long (lua/README.md); empty for nowhere
-- Returns {status, ...} in order of precedence:
--   lease_unknown                                    no such lease is remembered
--   lease_consumed                                   it became a booking
--   lease_released                                   it was released
--   lease_expired                                    its hold has ended; somebody else may have the spot
--   unchanged  expires_at_ms remaining_ms latest_ms  it is held so long already, or can be held no longer
--   extended   expires_at_ms remaining_ms latest_ms  it is held until then
-- Keeps: a hold never becomes shorter, never outlives its slot's start or its longest life, and never comes back.
-- Cost: constant: two reads, and three writes of two keys.
-- Rights: TIME; HMGET HSET HINCRBY PEXPIREAT lease; GET PEXPIREAT slot; XLEN XADD PEXPIRE events; ZCARD ZADD PEXPIRE expiring.
-- Promises: unchanged, extended.
-- Repeatable: yes. The expiry is absolute, so a second run finds the first one's work.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record
--@include spot_of

local lease_key = KEYS[1]
local lease_suffix = ARGV[1]
local slot_prefix = ARGV[2]
local asked_expires_ms = tonumber(ARGV[3])
local max_lease_ms = tonumber(ARGV[4])
local max_life_ms = tonumber(ARGV[5])
local retention_ms = tonumber(ARGV[6])
local reason = ARGV[7]
local events = ARGV[8]

local now = now_ms()

local record = read_record(lease_key,
  'slot', 'spot', 'booking', 'released_at_ms', 'expires_at_ms', 'start_ms', 'created_at_ms')
local slot, spot, booking, released_at_ms = record[1], record[2], record[3], record[4]
if not slot then
  return {'lease_unknown'}
elseif booking then
  return {'lease_consumed'}
elseif released_at_ms then
  return {'lease_released'}
end
local spot_key, is_owner = spot_of(slot_prefix, slot, spot, lease_suffix)
if not is_owner then
  return {'lease_expired'}
end

local expires_at_ms = tonumber(record[5])
-- An older release wrote no time of creation; it can only have been later than this.
local created_at_ms = tonumber(record[7]) or expires_at_ms - max_lease_ms
local latest_ms = math.min(created_at_ms + max_life_ms, tonumber(record[6]))
local granted_ms = math.min(asked_expires_ms, now + max_lease_ms, latest_ms)
if granted_ms <= expires_at_ms then
  return {'unchanged', expires_at_ms, expires_at_ms - now, latest_ms}
end
require_rights(lease_key, 'HSET', 'HINCRBY', 'PEXPIREAT')
if events ~= '' then
--@include meet_events
  meet_events(events)
end
-- The spot's own end first: it needs no memory, and what follows may then be written on a full store too.
redis.call('PEXPIREAT', spot_key, format_ms(granted_ms))
redis.call('HSET', lease_key,
  'created_at_ms', format_ms(created_at_ms),
  'expires_at_ms', format_ms(granted_ms),
  'extended_at_ms', format_ms(now),
  'extend_reason', reason)
redis.call('HINCRBY', lease_key, 'extensions', 1)
redis.call('PEXPIREAT', lease_key, format_ms(granted_ms + retention_ms))
if events ~= '' then
--@include note_event
--@include await_expiry
--@include keep_events
  local spot_name, ends_at = slot .. '#' .. spot, format_ms(granted_ms)
  await_expiry(events, lease_suffix, spot_name, ends_at)
  note_event(events, 'extended', {'lease', lease_suffix, 'spot', spot_name, 'until', ends_at, 'reason', reason})
  keep_events(events)
end
return {'extended', granted_ms, granted_ms - now, latest_ms}
