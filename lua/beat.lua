-- beat: the marker of the data set has a newer beat, and what this process knew of it has been looked for.
-- KEYS[1]  marker_key  hash  the marker of this data set; the one key without a TTL
-- ARGV[1]  process      string   the name of this process among those that beat, random
-- ARGV[2]  new_id       string   random; names the data set if it has no marker, or has gone back
-- ARGV[3]  known_id     string   the data set of this process' last answered beat, or empty
-- ARGV[4]  known_beat   integer  the number of that beat, or 0
-- ARGV[5]  known_at_ms  integer  when that was, epoch ms, or 0
-- ARGV[6]  clock_step_ms  integer, ms  the clock may go back by so much, and it is no step
-- Returns {status, ...} in order of precedence:
--   created    id beat at_ms lost_at_ms back_at_ms back_by_ms  there was no marker, and this process knew of none
--   lost       id beat at_ms lost_at_ms back_at_ms back_by_ms  the known data set is gone; what is here was made since
--   went_back  id beat at_ms lost_at_ms back_at_ms back_by_ms  the data is as it was before the known beat
--   advanced   id beat at_ms lost_at_ms back_at_ms back_by_ms  nothing that this process knew is missing
-- Keeps: once data is lost the data set has another id, so that every process notices. What was held before the loss was
-- granted before lost_at_ms, which is 0 without a loss and stays as it is however many notice. A clock that is before the
-- last beat has stepped back: since back_at_ms, by back_by_ms, both 0 without a step and once as much is made up for at
-- once. A clock that is far after the last beat says nothing: no process may have run meanwhile. The marker is written as
-- leases and bookings are, in a transaction, so that a restart that drops these drops it too.
-- Cost: constant; two reads and two writes of one key, which has at most 263 fields.
-- Rights: TIME; HMGET HSET marker.
-- Promises: nothing.
-- Repeatable: yes. A second run judges by the same knowledge, and finds the same or what the first one has made of it.

--@include now_ms
--@include format_ms
--@include read_record

local marker_key = KEYS[1]
local process = ARGV[1]
local new_id = ARGV[2]
local known_id = ARGV[3]
local known_beat = tonumber(ARGV[4])
local known_at_ms = tonumber(ARGV[5])
local clock_step_ms = tonumber(ARGV[6])

local now = now_ms()
-- The latest beats are kept, each in a field, by turns: after a loss others could reach the known number again.
local kept_beats = 256

local function beat_field(number)
  return 'beat:' .. number % kept_beats
end

-- Releases up to 0.1.1 write no time, and take what follows the process for a part of its name.
local function parse_beat(text)
  local number, made_by, made_at = (text or '0 -'):match('^(%d+) (%S*) ?(%d*)')
  return tonumber(number), made_by, tonumber(made_at)
end

local marker = read_record(marker_key, 'id', 'beat', 'made_at_ms', 'lost_at_ms', 'back_at_ms', 'back_by_ms')
local id, made_at_ms, lost_at_ms = marker[1], tonumber(marker[3] or 0), tonumber(marker[4] or 0)
local back_at_ms, back_by_ms = tonumber(marker[5] or 0), tonumber(marker[6] or 0)
local last_beat = tonumber(marker[2] or 0)
local beat = last_beat + 1
local beats = read_record(marker_key, beat_field(known_beat), beat_field(last_beat))
local kept_number, kept_process = parse_beat(beats[1])
local _, _, last_at_ms = parse_beat(beats[2])
-- A field that was needed again since then has a larger number.
local is_missing = kept_number < known_beat or kept_number == known_beat and kept_process ~= process

if last_at_ms and now < last_at_ms - clock_step_ms then
  back_at_ms, back_by_ms = now, last_at_ms - now
elseif last_at_ms and now >= last_at_ms + back_by_ms then
  back_at_ms, back_by_ms = 0, 0
end

-- In two commands: what a script writes by one stands alone in the append-only file, by several in a transaction. A
-- server that drops transactions at a restart has to drop the marker with the leases and bookings, or hides their loss.
local function write_marker()
  redis.call('HSET', marker_key,
    'v', '1',
    'id', id,
    'made_at_ms', format_ms(made_at_ms),
    'lost_at_ms', format_ms(lost_at_ms),
    'back_at_ms', format_ms(back_at_ms),
    'back_by_ms', format_ms(back_by_ms))
  redis.call('HSET', marker_key,
    'beat', format_ms(beat),
    beat_field(beat), format_ms(beat) .. ' ' .. process .. ' ' .. format_ms(now))
end

if not id and known_id == '' then
  id, made_at_ms = new_id, now
  write_marker()
  return {'created', id, beat, now, lost_at_ms, back_at_ms, back_by_ms}
elseif not id then
  id, made_at_ms, lost_at_ms = new_id, now, now
  write_marker()
  return {'lost', id, beat, now, lost_at_ms, back_at_ms, back_by_ms}
elseif known_id ~= '' and known_id ~= id and made_at_ms >= known_at_ms then
  -- It may have been made by a process that knew of no loss.
  if lost_at_ms == 0 then lost_at_ms = made_at_ms end
  write_marker()
  return {'lost', id, beat, now, lost_at_ms, back_at_ms, back_by_ms}
elseif known_id ~= '' and (known_id ~= id or is_missing) then
  id, made_at_ms, lost_at_ms = new_id, now, now
  write_marker()
  return {'went_back', id, beat, now, lost_at_ms, back_at_ms, back_by_ms}
end
write_marker()
return {'advanced', id, beat, now, lost_at_ms, back_at_ms, back_by_ms}
