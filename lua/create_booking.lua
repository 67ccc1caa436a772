-- create_booking: the spot is booked, by its lease or directly, and the lease is consumed; or nothing has changed.
-- KEYS[1]  booking_key  hash    the record of this booking
-- KEYS[2]  lease_key    hash    the record of the lease to consume; of a lease without a name when there is none
-- KEYS[3]  spot_key     string  who has the spot of the slot to book
-- ARGV[1]  booking_suffix      string   26 characters, made from the token
-- ARGV[2]  lease_suffix        string   26 characters, or empty to book directly
-- ARGV[3]  lease_is_elsewhere  integer  1 when the lease belongs to another merchant than the slot
-- ARGV[4]  slot                string   the slot as it stands in spot_key
-- ARGV[5]  spot                integer  the number of the spot, from 1
-- ARGV[6]  user                string   the digest of the user
-- ARGV[7]  api                 string   the version of the API that is asked
-- ARGV[8]  original            string   the response to this request, opaque
-- ARGV[9]  slot_start_ms       integer  the start of the slot, epoch ms
-- ARGV[10] slot_duration_ms    integer  the duration of the slot
-- ARGV[11] min_lease_ms        integer  no slot that starts sooner is booked without a lease
-- ARGV[12] max_advance_ms      integer  no slot that starts later than this from now
-- ARGV[13] retention_ms        integer  how long the record outlives the slot
-- ARGV[14] booking_prefix      string   what precedes the suffix in the key of any booking of this merchant
-- Returns {status, ...} in order of precedence:
--   replayed                original  the token made this booking already
--   token_reused                      the token belongs to another slot, lease or user
--   lease_unknown                     no such lease is remembered
--   lease_slot_mismatch               the lease is for another slot
--   lease_consumed_by_user            the lease became a booking of the same user, which stands
--   lease_consumed                    the lease became another booking
--   lease_expired                     the lease has ended without a booking
--   already_booked_by_user            the same user has a standing booking of this slot
--   start_too_soon                    the slot has begun, or begins within min_lease_ms
--   start_too_far                     the slot begins after more than max_advance_ms
--   slot_unavailable                  the spot is held or booked
--   created                           the spot is booked
-- Keeps: a spot has one owner; a lease becomes at most one booking; a token makes at most one booking.
-- Cost: constant; at most four reads, and six writes of three keys.
-- Repeatable: yes. The booking is named by its token, so a second run finds the first one's work.

--@include now_ms
--@include format_ms

local booking_key = KEYS[1]
local lease_key = KEYS[2]
local spot_key = KEYS[3]
local booking_suffix = ARGV[1]
local lease_suffix = ARGV[2]
local lease_is_elsewhere = ARGV[3]
local slot = ARGV[4]
local spot = ARGV[5]
local user = ARGV[6]
local api = ARGV[7]
local original = ARGV[8]
local slot_start_ms = tonumber(ARGV[9])
local slot_duration_ms = tonumber(ARGV[10])
local min_lease_ms = tonumber(ARGV[11])
local max_advance_ms = tonumber(ARGV[12])
local retention_ms = tonumber(ARGV[13])
local booking_prefix = ARGV[14]

local now = now_ms()

local booking = redis.call('HMGET', booking_key, 'slot', 'lease', 'user', 'original')
if booking[1] == slot and booking[2] == lease_suffix and booking[3] == user
    and lease_is_elsewhere == '0' then
  return {'replayed', booking[4]}
elseif booking[1] then
  return {'token_reused'}
end

local owner = redis.call('GET', spot_key)
if lease_is_elsewhere == '1' then
  return {'lease_slot_mismatch'}
elseif lease_suffix ~= '' then
  local lease = redis.call('HMGET', lease_key, 'slot', 'booking')
  if not lease[1] then
    return {'lease_unknown'}
  elseif lease[1] ~= slot then
    return {'lease_slot_mismatch'}
  elseif lease[2] then
    local made = redis.call('HMGET', booking_prefix .. lease[2], 'user', 'status')
    if made[1] == user and made[2] and made[2] ~= 'canceled' then
      return {'lease_consumed_by_user'}
    end
    return {'lease_consumed'}
  elseif owner ~= 'lease ' .. lease_suffix then
    return {'lease_expired'}
  end
else
  if owner and owner:match('^booking %w+ (%w+)$') == user then
    return {'already_booked_by_user'}
  elseif slot_start_ms < now + min_lease_ms then
    return {'start_too_soon'}
  elseif slot_start_ms > now + max_advance_ms then
    return {'start_too_far'}
  elseif owner then
    return {'slot_unavailable'}
  end
end

local ends_at = format_ms(slot_start_ms + slot_duration_ms + retention_ms)
redis.call('SET', spot_key, 'booking ' .. booking_suffix .. ' ' .. user, 'PXAT', ends_at)
redis.call('HSET', booking_key,
  'v', '1',
  'api', api,
  'slot', slot,
  'current_slot', slot,
  'spot', spot,
  'start_ms', format_ms(slot_start_ms),
  'duration_ms', format_ms(slot_duration_ms),
  'user', user,
  'lease', lease_suffix,
  'status', 'confirmed',
  'original', original)
redis.call('PEXPIREAT', booking_key, ends_at)
if lease_suffix ~= '' then
  redis.call('HSET', lease_key, 'booking', booking_suffix)
  redis.call('PEXPIREAT', lease_key, ends_at)
end
return {'created'}
