-- create_booking: the spot is booked, by its lease or directly, and the lease is consumed; or nothing has changed.
-- KEYS[1]  booking_key    hash  the record of this booking
-- KEYS[2]  lease_key      hash  the record of the lease to consume; of a lease without a name when there is none
-- KEYS[3]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  booking_suffix      string   26 characters, made from the token
-- ARGV[2]  lease_suffix        string   26 characters, or empty to book directly
-- ARGV[3]  lease_is_elsewhere  integer  1 when the lease belongs to another merchant than the slot
-- ARGV[4]  wanted_slot         string   the slot as it stands in slot keys, or empty for that of the lease
-- ARGV[5]  users               string   all digests of the user, by each key that is read, with blanks between, or "nobody";
--                                       the first is written
-- ARGV[6]  api                 string   the version of the API that is asked
-- ARGV[7]  original            string   the response to this request, opaque
-- ARGV[8]  wanted_start_ms     integer  the start of the wanted slot, epoch ms
-- ARGV[9]  wanted_duration_ms  integer  the duration of the wanted slot
-- ARGV[10] min_lease_ms        integer  no slot that starts sooner is booked without a lease
-- ARGV[11] max_advance_ms      integer  no slot that starts later than this from now
-- ARGV[12] retention_ms        integer  how long the record outlives the slot
-- ARGV[13] booking_prefix      string   what precedes the suffix in the booking keys of this merchant
-- ARGV[14] slot_prefix         string   what precedes the slot in the slot keys of this merchant
-- ARGV[15] spots_prefix        string   what precedes the day in the spots keys of this merchant; empty for open inventory
-- ARGV[16] additional_request  string   the user's words to the merchant, 0-4096 bytes
-- ARGV[17] events              string   where events are noted, and how many for how long (lua/README.md); empty for nowhere
-- Returns {status, ...} in order of precedence:
--   replayed                original slot current_slot taken_at_ms user  the token made this booking already, now of that slot and digest
--   token_reused                      the token belongs to another slot, lease or user
--   lease_unknown                     no such lease is remembered
--   lease_slot_mismatch               the lease is for another slot
--   lease_consumed_by_user            the lease became a booking of the same user, which stands
--   lease_consumed                    the lease became another booking
--   lease_expired                     the lease has ended without a booking
--   already_booked_by_user            the same user has a standing booking of this slot, on whichever spot
--   start_too_soon                    the slot has begun, or begins within min_lease_ms
--   start_too_far                     the slot begins after more than max_advance_ms
--   merchant_unknown                  the inventory does not know the merchant
--   service_unknown                   the inventory does not know this service of the merchant
--   slot_unknown                      the inventory does not have the slot
--   slot_unavailable                  all spots of the slot are held or booked
--   created                 slot taken_at_ms  a spot is booked, since that moment
-- Keeps: a spot has one owner; a lease becomes at most one booking; a token makes at most one booking.
-- Cost: constant for a slot with one spot: at most five reads, and six writes of three keys. With N spots one MGET of N
-- keys, because a user has one spot of a slot at most.
-- Rights: TIME; HMGET HSET PEXPIREAT booking; HMGET HSET PEXPIREAT lease; GET MGET SET slot; HGET spots; HMGET EXISTS inventory;
--   XLEN XADD PEXPIRE events; ZCARD ZREM PEXPIRE expiring.
-- Promises: replayed, created.
-- Repeatable: yes. The booking is named by its token, so a second run finds the first one's work.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record
--@include read_spots
--@include read_owners
--@include find_unknown
--@include is_one_of
--@include is_booked_by

local booking_key = KEYS[1]
local lease_key = KEYS[2]
local inventory_key = KEYS[3]
local booking_suffix = ARGV[1]
local lease_suffix = ARGV[2]
local lease_is_elsewhere = ARGV[3]
local wanted_slot = ARGV[4]
local users = ARGV[5]
local api = ARGV[6]
local original = ARGV[7]
local wanted_start_ms = tonumber(ARGV[8])
local wanted_duration_ms = tonumber(ARGV[9])
local min_lease_ms = tonumber(ARGV[10])
local max_advance_ms = tonumber(ARGV[11])
local retention_ms = tonumber(ARGV[12])
local booking_prefix = ARGV[13]
local slot_prefix = ARGV[14]
local spots_prefix = ARGV[15]
local additional_request = ARGV[16]
local events = ARGV[17]

local now = now_ms()

local booking = read_record(booking_key, 'slot', 'lease', 'user', 'original', 'current_slot', 'taken_at_ms')
if (booking[1] == wanted_slot or wanted_slot == '') and booking[2] == lease_suffix
    and is_one_of(users, booking[3]) and lease_is_elsewhere == '0' then
  return {'replayed', booking[4], booking[1], booking[5], tonumber(booking[6]) or 0, booking[3]}
elseif booking[1] then
  return {'token_reused'}
end

local slot, start_ms, duration_ms = wanted_slot, wanted_start_ms, wanted_duration_ms
local leased_spot
if lease_is_elsewhere == '1' then
  return {'lease_slot_mismatch'}
elseif lease_suffix ~= '' then
  local lease = read_record(lease_key, 'slot', 'spot', 'start_ms', 'duration_ms', 'booking')
  if not lease[1] then
    return {'lease_unknown'}
  elseif wanted_slot ~= '' and lease[1] ~= wanted_slot then
    return {'lease_slot_mismatch'}
  elseif lease[5] then
    local made = read_record(booking_prefix .. lease[5], 'user', 'status')
    if is_one_of(users, made[1]) and made[2] and made[2] ~= 'canceled' then
      return {'lease_consumed_by_user'}
    end
    return {'lease_consumed'}
  end
  slot, leased_spot, start_ms, duration_ms = lease[1], lease[2], tonumber(lease[3]), tonumber(lease[4])
  if redis.call('GET', slot_prefix .. slot .. '#' .. leased_spot) ~= 'lease ' .. lease_suffix then
    return {'lease_expired'}
  end
end

local spot_stem = slot_prefix .. slot .. '#'
local spots, highest = read_spots(spots_prefix, slot)
local occupied, free_spot = 0, nil
-- The only spot of a slot cannot be held by this lease and booked by this user as well.
if not leased_spot or highest > 1 then
  for number, owner in ipairs(read_owners(spot_stem, highest)) do
    if not owner then
      free_spot = free_spot or number
    else
      occupied = occupied + 1
      if is_booked_by(owner, users) then
        return {'already_booked_by_user'}
      end
    end
  end
end
if not leased_spot then
  if start_ms < now + min_lease_ms then
    return {'start_too_soon'}
  elseif start_ms > now + max_advance_ms then
    return {'start_too_far'}
  end
  local unknown = not spots and find_unknown(inventory_key, slot)
  if unknown == 'merchant' then
    return {'merchant_unknown'}
  elseif unknown == 'service' then
    return {'service_unknown'}
  elseif not spots then
    return {'slot_unknown'}
  elseif occupied >= spots then
    return {'slot_unavailable'}
  end
end

local spot = leased_spot or free_spot
local user = users:match('^%w+')
if events ~= '' then
--@include meet_events
  meet_events(events)
end
require_rights(booking_key, 'HSET', 'PEXPIREAT')
if lease_suffix ~= '' then
  require_rights(lease_key, 'HSET', 'PEXPIREAT')
end
local ends_at = format_ms(start_ms + duration_ms + retention_ms)
redis.call('SET', spot_stem .. spot, 'booking ' .. booking_suffix .. ' ' .. user, 'PXAT', ends_at)
redis.call('HSET', booking_key,
  'v', '1',
  'api', api,
  'slot', slot,
  'current_slot', slot,
  'spot', spot,
  'start_ms', format_ms(start_ms),
  'duration_ms', format_ms(duration_ms),
  'user', user,
  'lease', lease_suffix,
  'status', 'confirmed',
  'taken_at_ms', format_ms(now),
  'original', original,
  'additional_request', additional_request)
redis.call('PEXPIREAT', booking_key, ends_at)
if lease_suffix ~= '' then
  redis.call('HSET', lease_key, 'booking', booking_suffix, 'consumed_at_ms', format_ms(now))
  redis.call('PEXPIREAT', lease_key, ends_at)
end
if events ~= '' then
--@include note_event
--@include forget_expiry
--@include keep_events
  local spot_name = slot .. '#' .. spot
  if lease_suffix ~= '' then
    forget_expiry(events, lease_suffix, spot_name)
    note_event(events, 'consumed', {'lease', lease_suffix, 'booking', booking_suffix, 'spot', spot_name})
  end
  note_event(events, 'booking_created', {'booking', booking_suffix, 'spot', spot_name})
  keep_events(events)
end
return {'created', slot, now}
