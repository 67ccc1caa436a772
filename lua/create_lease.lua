-- create_lease: one spot of the slot is held by this lease until the granted expiry, or nothing has changed.
-- KEYS[1]  lease_key      hash  the record of this lease
-- KEYS[2]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  lease_suffix      string   26 characters, made from the reference
-- ARGV[2]  slot              string   the slot as it stands in slot keys
-- ARGV[3]  slot_prefix       string   what precedes the slot in the slot keys of this merchant
-- ARGV[4]  spots_prefix      string   what precedes the day in the spots keys of this merchant; empty for open inventory
-- ARGV[5]  reference         string   the caller's reference, 1-255 bytes
-- ARGV[6]  availability_tag  string   opaque, 0-1024 bytes
-- ARGV[7]  asked_expires_ms  integer  the expiry asked for, epoch ms
-- ARGV[8]  slot_start_ms     integer  the start of the slot, epoch ms
-- ARGV[9]  slot_duration_ms  integer  the duration of the slot
-- ARGV[10] min_lease_ms      integer  nothing shorter is granted, and no slot that starts sooner
-- ARGV[11] max_lease_ms      integer  nothing longer is granted
-- ARGV[12] max_advance_ms    integer  no slot that starts later than this from now
-- ARGV[13] retention_ms      integer  how long the record outlives the hold
-- ARGV[14] events            string   where events are noted, and how many for how long (lua/README.md); empty for nowhere
-- ARGV[15] booking_prefix    string   what precedes the suffix in the booking keys of this merchant
-- Returns {status, ...} in order of precedence:
--   consumed          expires_at_ms               the reference held this slot, and its booking stands there
--   replayed          expires_at_ms remaining_ms  the reference holds this slot already
--   lease_expired                                 the reference held this slot once, also if its booking left it
--   reference_reused                              the reference belongs to another slot
--   expiry_too_soon   now_ms                      less than min_lease_ms is asked for, by the time in the answer
--   start_too_soon                                the slot has begun, or begins within min_lease_ms
--   start_too_far                                 the slot begins after more than max_advance_ms
--   merchant_unknown                              the inventory does not know the merchant
--   service_unknown                               the inventory does not know this service of the merchant
--   slot_unknown                                  the inventory does not have the slot: another start, duration, staff, …
--   slot_unavailable                              all spots of the slot are held or booked
--   created           expires_at_ms remaining_ms  a spot is held by this lease from now on
-- Keeps: a spot has one owner, and the hold ends exactly at expires_at_ms by the TTL of its key.
-- Cost: constant for a slot with one spot: at most three reads, and three writes of two keys. With N spots one MGET of N
-- keys, from 17 on only when five tries have failed. The first refusal of those costs a PTTL for each hold as well, and is
-- remembered for a second at most; those that follow cost three reads.
-- Rights: TIME; HMGET HSET PEXPIREAT lease; HMGET booking; GET MGET EXISTS PTTL SET slot; EXISTS SET full; HGET spots;
--   HMGET EXISTS inventory; XLEN XADD PEXPIRE events; ZRANGE ZADD ZREM PEXPIRE expiring.
-- Promises: consumed, replayed, created.
-- Repeatable: yes. The lease is named by its reference, so a second run finds the first one's work.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record
--@include read_spots
--@include find_unknown
--@include full_key_of

local lease_key = KEYS[1]
local inventory_key = KEYS[2]
local lease_suffix = ARGV[1]
local slot = ARGV[2]
local slot_prefix = ARGV[3]
local spots_prefix = ARGV[4]
local reference = ARGV[5]
local availability_tag = ARGV[6]
local asked_expires_ms = tonumber(ARGV[7])
local slot_start_ms = tonumber(ARGV[8])
local slot_duration_ms = tonumber(ARGV[9])
local min_lease_ms = tonumber(ARGV[10])
local max_lease_ms = tonumber(ARGV[11])
local max_advance_ms = tonumber(ARGV[12])
local retention_ms = tonumber(ARGV[13])
local events = ARGV[14]
local booking_prefix = ARGV[15]

local now = now_ms()
local owner = 'lease ' .. lease_suffix
local spot_stem = slot_prefix .. slot .. '#'

local record = read_record(lease_key, 'slot', 'expires_at_ms', 'booking', 'spot')
if record[1] == slot then
  if record[3] then
--@include stands_on
    if stands_on(booking_prefix, record[3], slot_prefix, slot) then
      return {'consumed', tonumber(record[2])}
    end
    return {'lease_expired'}
  end
  -- One truth: the spot key says whether the lease is held; its recorded expiry is not asked.
  if redis.call('GET', spot_stem .. record[4]) ~= owner then
    return {'lease_expired'}
  end
  local expires_at_ms = tonumber(record[2])
  return {'replayed', expires_at_ms, expires_at_ms - now}
elseif record[1] then
  return {'reference_reused'}
end

if asked_expires_ms < now + min_lease_ms then
  return {'expiry_too_soon', now}
end
if slot_start_ms < now + min_lease_ms then
  return {'start_too_soon'}
end
if slot_start_ms > now + max_advance_ms then
  return {'start_too_far'}
end

local spots, highest = read_spots(spots_prefix, slot)
local unknown = not spots and find_unknown(inventory_key, slot)
if unknown == 'merchant' then
  return {'merchant_unknown'}
elseif unknown == 'service' then
  return {'service_unknown'}
elseif not spots then
  return {'slot_unknown'}
end
-- The only spot of a slot is not looked at first: the SET below does that.
local spot, owners = 1, nil
if spots ~= 1 or highest ~= 1 then
--@include find_free_spot
  local full_key = full_key_of(slot_prefix, slot)
  spot, owners = find_free_spot(spot_stem, full_key, spots, highest, lease_suffix)
  if owners then
--@include note_full
    note_full(full_key, spot_stem, owners, now)
  end
end

local expired
if events ~= '' and spot then
--@include find_expired
  -- Two for each lease that is made, so that the set of holds stays small when nobody reads.
  expired = find_expired(events, 2, now, slot_prefix, lease_key:sub(1, -1 - #lease_suffix))
end

require_rights(lease_key, 'HSET', 'PEXPIREAT')
-- Redis answers OK to a PXAT in the past and keeps nothing. This one lies ahead by min_lease_ms.
local expires_at_ms = math.min(asked_expires_ms, now + max_lease_ms, slot_start_ms)
if not spot
    or not redis.call('SET', spot_stem .. spot, owner, 'NX', 'PXAT', format_ms(expires_at_ms)) then
  return {'slot_unavailable'}
end
redis.call('HSET', lease_key,
  'v', '1',
  'slot', slot,
  'spot', spot,
  'start_ms', format_ms(slot_start_ms),
  'duration_ms', format_ms(slot_duration_ms),
  'reference', reference,
  'availability_tag', availability_tag,
  'expires_at_ms', format_ms(expires_at_ms),
  'created_at_ms', format_ms(now))
redis.call('PEXPIREAT', lease_key, format_ms(expires_at_ms + retention_ms))
if expired then
--@include note_expired
--@include note_event
--@include await_expiry
--@include keep_events
  local spot_name, ends_at = slot .. '#' .. spot, format_ms(expires_at_ms)
  note_expired(events, expired)
  if await_expiry(events, lease_suffix, spot_name, ends_at) == 0 then
    -- The reference has been forgotten, and makes its lease a second time, before anybody noticed the end of the first.
    note_event(events, 'expired', {'lease', lease_suffix, 'spot', spot_name})
  end
  note_event(events, 'held', {'lease', lease_suffix, 'spot', spot_name, 'until', ends_at})
  keep_events(events)
end
return {'created', expires_at_ms, expires_at_ms - now}
