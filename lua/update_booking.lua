-- update_booking: the booking has the wanted state and slot, in one step; or nothing has changed.
-- KEYS[1]  booking_key  hash  the record of the booking
-- ARGV[1]  booking_suffix   string   26 characters
-- ARGV[2]  wanted_status    string   the state to set, or empty to leave it
-- ARGV[3]  new_start        string   the new start as it stands in slot keys, or empty; a cancel looks at no slot
-- ARGV[4]  new_start_ms     integer  the same in epoch ms, or empty
-- ARGV[5]  new_duration     string   the new duration as it stands in slot keys, or empty
-- ARGV[6]  new_duration_ms  integer  the same in ms, or empty
-- ARGV[7]  new_party_size   integer  the new party size, or empty
-- ARGV[8]  min_lease_ms     integer  nothing moves to a slot that starts sooner
-- ARGV[9]  max_advance_ms   integer  nothing moves to a slot that starts later than this from now
-- ARGV[10] retention_ms     integer  how long the record outlives the slot
-- ARGV[11] slot_prefix      string   what precedes the slot in the slot keys of this merchant
-- ARGV[12] spots_prefix     string   what precedes the day in the spots keys of this merchant; empty for open inventory
-- ARGV[13] lease_prefix     string   what precedes the suffix in the lease keys of this merchant
-- ARGV[14] named_service    string   the service as the caller has it, encoded; * when it is not said
-- ARGV[15] named_staff      string   likewise
-- ARGV[16] named_room       string   likewise
-- ARGV[17] events           string   where events are noted, and how many for how long (lua/README.md); empty for nowhere
-- ARGV[18] max_slot_ms      integer  nothing moves to a slot that is longer, unless its own is as long
-- ARGV[19] users            string   all digests of whoever made it, by each key that is read, with blanks between; empty
--                                    where the record's is the only one
-- Returns {status, ...} in order of precedence:
--   booking_unknown                                  no such booking is remembered
--   slot_mismatch                                    it is for another service, staff member or room than the caller says
--   already_cancelled                                it is cancelled, and something else is wanted
--   not_cancellable                                  it is a no-show, and cannot be cancelled
--   unchanged  api original booking_status slot user taken_at_ms  it is as wanted already
--   already_booked_by_user                           the same user has a standing booking of the new slot, on whichever spot
--   duration_too_long                                the new slot is longer than max_slot_ms, and than the old one
--   start_too_soon                                   the new slot has begun, or begins within min_lease_ms
--   start_too_far                                    the new slot begins after more than max_advance_ms
--   slot_unknown                                     the inventory does not have the new slot
--   slot_unavailable                                 all spots of the new slot are held or booked
--   updated    api original booking_status slot user taken_at_ms  it is as wanted now; the slot since that moment
-- Keeps: the new spot is taken and the old one freed in one step; a cancelled booking stays cancelled; a user has one spot
-- of a slot at most.
-- Cost: constant for slots with one spot: at most six reads, and seven writes of four keys. A move to a slot with N
-- spots is one MGET of N keys, because a user has one spot of a slot at most; where no user is named, as in create_lease.
-- Rights: TIME; HMGET HSET PEXPIREAT booking; HMGET PEXPIREAT lease; GET MGET EXISTS PTTL SET DEL slot; HGET spots; EXISTS SET DEL full;
--   XLEN XADD PEXPIRE events; ZCARD PEXPIRE expiring.
-- Promises: unchanged, updated.
-- Repeatable: no, because another change can have come between.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record
--@include read_spots
--@include read_owners
--@include is_booked_by
--@include find_free_spot
--@include find_known_full
--@include full_key_of
--@include note_full

local booking_key = KEYS[1]
local booking_suffix = ARGV[1]
local wanted_status = ARGV[2]
local new_start = ARGV[3]
local new_start_ms = tonumber(ARGV[4])
local new_duration = ARGV[5]
local new_duration_ms = tonumber(ARGV[6])
local new_party_size = ARGV[7]
local min_lease_ms = tonumber(ARGV[8])
local max_advance_ms = tonumber(ARGV[9])
local retention_ms = tonumber(ARGV[10])
local slot_prefix = ARGV[11]
local spots_prefix = ARGV[12]
local lease_prefix = ARGV[13]
local named_service = ARGV[14]
local named_staff = ARGV[15]
local named_room = ARGV[16]
local events = ARGV[17]
local max_slot_ms = tonumber(ARGV[18])
local users = ARGV[19]

local now = now_ms()

local record = read_record(booking_key,
  'api', 'original', 'status', 'current_slot', 'spot', 'start_ms', 'duration_ms', 'user', 'lease', 'taken_at_ms')
local api, original, booking_status, slot, spot = record[1], record[2], record[3], record[4], record[5]
local user, lease, taken_at_ms = record[8], record[9], tonumber(record[10]) or 0

if not api then
  return {'booking_unknown'}
end
-- It may have been forgotten since the digests were made.
if users == '' or user == 'nobody' then users = user end
local service, start, duration, staff, room, party_size =
  slot:match('^([^:]*):([^/]*)/([^:]*):([^:]*):([^:]*):(%d+)$')
local function differs(named, found)
  return named ~= '*' and named ~= found
end
if differs(named_service, service) or differs(named_staff, staff) or differs(named_room, room) then
  return {'slot_mismatch'}
elseif booking_status == 'canceled' and wanted_status ~= 'canceled' then
  return {'already_cancelled'}
elseif booking_status == 'canceled' then
  return {'unchanged', api, original, booking_status, slot, user, taken_at_ms}
elseif wanted_status == 'canceled' and booking_status ~= 'confirmed' then
  return {'not_cancellable'}
end

if new_start ~= '' then start = new_start end
if new_duration ~= '' then duration = new_duration end
if new_party_size ~= '' then party_size = new_party_size end
local new_slot = service .. ':' .. start .. '/' .. duration .. ':' .. staff .. ':' .. room .. ':' .. party_size
local start_ms = new_start_ms or tonumber(record[6])
local duration_ms = new_duration_ms or tonumber(record[7])
-- A cancelled booking has no slot to move to.
local moves = new_slot ~= slot and wanted_status ~= 'canceled'
if not moves then new_slot = slot end

if wanted_status == '' then
  wanted_status = booking_status
end
if not moves and wanted_status == booking_status then
  return {'unchanged', api, original, booking_status, slot, user, taken_at_ms}
end

local owner = 'booking ' .. booking_suffix .. ' ' .. user
local spot_key = slot_prefix .. slot .. '#' .. spot
local lease_key = lease_prefix .. lease
local is_owner = redis.call('GET', spot_key) == owner
local frees = is_owner and (moves or wanted_status == 'canceled')
local new_spot_stem, new_spot = slot_prefix .. new_slot .. '#', nil
if moves then
  -- Its end will move as well. Meets the key before the first write: a cluster slot on the move may refuse it.
  read_record(lease_key, 'slot')
  local spots, highest = read_spots(spots_prefix, new_slot)
  local owners = user ~= 'nobody' and read_owners(new_spot_stem, highest) or nil
  for number = 1, owners and highest or 0 do
    if is_booked_by(owners[number], users) then
      return {'already_booked_by_user'}
    end
  end
  if duration_ms > max_slot_ms and duration_ms > tonumber(record[7]) then
    return {'duration_too_long'}
  elseif start_ms < now + min_lease_ms then
    return {'start_too_soon'}
  elseif start_ms > now + max_advance_ms then
    return {'start_too_far'}
  end
  if not spots then
    return {'slot_unknown'}
  end
  local new_full_key = full_key_of(slot_prefix, new_slot)
  new_spot, owners = find_free_spot(new_spot_stem, new_full_key, spots, highest, booking_suffix, owners)
  if owners then
    note_full(new_full_key, new_spot_stem, owners, now)
  end
  if not new_spot then
    return {'slot_unavailable'}
  end
  require_rights(lease_key, 'PEXPIREAT')
  require_rights(new_spot_stem .. new_spot, 'SET')
  require_rights(booking_key, 'PEXPIREAT')
end

local full_key = frees and find_known_full(slot_prefix, spots_prefix, slot)
require_rights(booking_key, 'HSET')
if events ~= '' then
--@include meet_events
  meet_events(events)
end

-- Frees before it takes, so that cancelling works on a store that is out of memory.
if frees then
  redis.call('DEL', spot_key, full_key or spot_key)
end
redis.call('HSET', booking_key, 'status', wanted_status)
if moves then
  -- The user's index tells moves apart by this, so no two of them have the same.
  taken_at_ms = math.max(now, taken_at_ms + 1)
  local ends_at = format_ms(start_ms + duration_ms + retention_ms)
  redis.call('SET', new_spot_stem .. new_spot, owner, 'PXAT', ends_at)
  redis.call('HSET', booking_key,
    'current_slot', new_slot,
    'spot', new_spot,
    'taken_at_ms', format_ms(taken_at_ms),
    'start_ms', format_ms(start_ms),
    'duration_ms', format_ms(duration_ms))
  redis.call('PEXPIREAT', booking_key, ends_at)
  redis.call('PEXPIREAT', lease_key, ends_at)
end
if events ~= '' then
--@include note_event
--@include keep_events
  local old_spot, spot_now = slot .. '#' .. spot, new_slot .. '#' .. (new_spot or spot)
  if moves then
    note_event(events, 'booking_moved', {'booking', booking_suffix, 'spot', spot_now, 'old_spot', old_spot})
  end
  if wanted_status ~= booking_status then
    note_event(events, 'booking_' .. wanted_status, {'booking', booking_suffix, 'spot', spot_now})
  end
  keep_events(events)
end
return {'updated', api, original, wanted_status, new_slot, user, taken_at_ms}
