-- beat: the marker of the data set has a newer beat, and what this process knew of it has been looked for.
-- KEYS[1]  marker_key  hash  the marker of this data set; the one key without a TTL
-- ARGV[1]  process      string   the name of this process among those that beat, random
-- ARGV[2]  new_id       string   random; names the data set if it has no marker, or has gone back
-- ARGV[3]  known_id     string   the data set of this process' last answered beat, or empty
-- ARGV[4]  known_beat   integer  the number of that beat, or 0
-- ARGV[5]  known_at_ms  integer  when that was, epoch ms, or 0
-- Returns {status, ...} in order of precedence:
--   created    id beat at_ms lost_at_ms  there was no marker, and this process knew of none
--   lost       id beat at_ms lost_at_ms  the known data set is gone; what is here was made since
--   went_back  id beat at_ms lost_at_ms  the data is as it was before the known beat
--   advanced   id beat at_ms lost_at_ms  nothing that this process knew is missing
-- Keeps: once data is lost the data set has another id, so that every process notices. What was held before the loss was
-- granted before lost_at_ms, which is 0 without a loss and stays as it is however many notice. The marker is written as
-- leases and bookings are, in a transaction, so that a restart that drops these drops it too.
-- Cost: constant; one read and two writes of one key, which has at most 261 fields.
-- Rights: TIME; HMGET HSET marker.
-- Promises: nothing.
-- Repeatable: yes. A second run judges by the same knowledge, and finds the same or what the first one has made of it.

--@include now_ms
--@include format_ms

local marker_key = KEYS[1]
local process = ARGV[1]
local new_id = ARGV[2]
local known_id = ARGV[3]
local known_beat = tonumber(ARGV[4])
local known_at_ms = tonumber(ARGV[5])

local now = now_ms()
-- The latest beats are kept, each in a field, by turns: after a loss others could reach the known number again.
local kept_beats = 256

local function beat_field(number)
  return 'beat:' .. number % kept_beats
end

local marker = redis.call('HMGET', marker_key, 'id', 'beat', 'made_at_ms', 'lost_at_ms', beat_field(known_beat))
local id, made_at_ms, lost_at_ms = marker[1], tonumber(marker[3] or 0), tonumber(marker[4] or 0)
local beat = tonumber(marker[2] or 0) + 1
local kept_text, kept_process = (marker[5] or '0 '):match('^(%d+) (.*)$')
local kept_number = tonumber(kept_text)
-- A field that was needed again since then has a larger number.
local is_missing = kept_number < known_beat or kept_number == known_beat and kept_process ~= process

-- In two commands: what a script writes by one stands alone in the append-only file, by several in a transaction. A
-- server that drops transactions at a restart has to drop the marker with the leases and bookings, or hides their loss.
local function write_marker()
  redis.call('HSET', marker_key,
    'v', '1',
    'id', id,
    'made_at_ms', format_ms(made_at_ms),
    'lost_at_ms', format_ms(lost_at_ms))
  redis.call('HSET', marker_key,
    'beat', format_ms(beat),
    beat_field(beat), format_ms(beat) .. ' ' .. process)
end

if not id and known_id == '' then
  id, made_at_ms = new_id, now
  write_marker()
  return {'created', id, beat, now, lost_at_ms}
elseif not id then
  id, made_at_ms, lost_at_ms = new_id, now, now
  write_marker()
  return {'lost', id, beat, now, lost_at_ms}
elseif known_id ~= '' and known_id ~= id and made_at_ms >= known_at_ms then
  -- It may have been made by a process that knew of no loss.
  if lost_at_ms == 0 then lost_at_ms = made_at_ms end
  write_marker()
  return {'lost', id, beat, now, lost_at_ms}
elseif known_id ~= '' and (known_id ~= id or is_missing) then
  id, made_at_ms, lost_at_ms = new_id, now, now
  write_marker()
  return {'went_back', id, beat, now, lost_at_ms}
end
write_marker()
return {'advanced', id, beat, now, lost_at_ms}
