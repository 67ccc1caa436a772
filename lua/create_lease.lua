-- create_lease: one spot of the slot is held by this lease until the granted expiry, or nothing has changed.
-- KEYS[1]  lease_key  hash    the record of this lease
-- KEYS[2]  spot_key   string  who has the wanted spot of the slot
-- ARGV[1]  lease_suffix      string   26 characters, made from the reference
-- ARGV[2]  slot              string   the slot as it stands in spot_key
-- ARGV[3]  spot              integer  the number of the spot, from 1
-- ARGV[4]  reference         string   the caller's reference, 1-255 bytes
-- ARGV[5]  availability_tag  string   opaque, 0-1024 bytes
-- ARGV[6]  asked_expires_ms  integer  the expiry asked for, epoch ms
-- ARGV[7]  slot_start_ms     integer  the start of the slot, epoch ms
-- ARGV[8]  slot_duration_ms  integer  the duration of the slot
-- ARGV[9]  min_lease_ms      integer  nothing shorter is granted, and no slot that starts sooner
-- ARGV[10] max_lease_ms      integer  nothing longer is granted
-- ARGV[11] max_advance_ms    integer  no slot that starts later than this from now
-- ARGV[12] retention_ms      integer  how long the record outlives the hold
-- Returns {status, ...} in order of precedence:
--   consumed          expires_at_ms               the reference held this slot, and it was booked
--   replayed          expires_at_ms remaining_ms  the reference holds this slot already
--   lease_expired                                 the reference held this slot once
--   reference_reused                              the reference belongs to another slot
--   expiry_too_soon                               less than min_lease_ms is asked for
--   start_too_soon                                the slot has begun, or begins within min_lease_ms
--   start_too_far                                 the slot begins after more than max_advance_ms
--   slot_unavailable                              the spot is held or booked
--   created           expires_at_ms remaining_ms  the spot is held by this lease from now on
-- Keeps: a spot has one owner, and the hold ends exactly at expires_at_ms by the TTL of spot_key.
-- Cost: constant; two reads, or three writes of two keys.
-- Repeatable: yes. The lease is named by its reference, so a second run finds the first one's work.

--@include now_ms
--@include format_ms

local lease_key = KEYS[1]
local spot_key = KEYS[2]
local lease_suffix = ARGV[1]
local slot = ARGV[2]
local spot = ARGV[3]
local reference = ARGV[4]
local availability_tag = ARGV[5]
local asked_expires_ms = tonumber(ARGV[6])
local slot_start_ms = tonumber(ARGV[7])
local slot_duration_ms = tonumber(ARGV[8])
local min_lease_ms = tonumber(ARGV[9])
local max_lease_ms = tonumber(ARGV[10])
local max_advance_ms = tonumber(ARGV[11])
local retention_ms = tonumber(ARGV[12])

local now = now_ms()
local owner = 'lease ' .. lease_suffix

local record = redis.call('HMGET', lease_key, 'slot', 'expires_at_ms', 'booking')
if record[1] == slot then
  if record[3] then
    return {'consumed', tonumber(record[2])}
  end
  -- One truth: the spot key says whether the lease is held; its recorded expiry is not asked.
  if redis.call('GET', spot_key) ~= owner then
    return {'lease_expired'}
  end
  local expires_at_ms = tonumber(record[2])
  return {'replayed', expires_at_ms, expires_at_ms - now}
elseif record[1] then
  return {'reference_reused'}
end

if asked_expires_ms < now + min_lease_ms then
  return {'expiry_too_soon'}
end
if slot_start_ms < now + min_lease_ms then
  return {'start_too_soon'}
end
if slot_start_ms > now + max_advance_ms then
  return {'start_too_far'}
end

-- Redis answers OK to a PXAT in the past and keeps nothing. This one lies ahead by min_lease_ms.
local expires_at_ms = math.min(asked_expires_ms, now + max_lease_ms, slot_start_ms)
if not redis.call('SET', spot_key, owner, 'NX', 'PXAT', format_ms(expires_at_ms)) then
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
  'expires_at_ms', format_ms(expires_at_ms))
redis.call('PEXPIREAT', lease_key, format_ms(expires_at_ms + retention_ms))
return {'created', expires_at_ms, expires_at_ms - now}
