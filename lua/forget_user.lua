-- forget_user: the booking, its spot and its lease tell nothing about who made it, and stand; or nothing has changed.
-- KEYS[1]  booking_key  hash  the record of the booking
-- ARGV[1]  booking_suffix  string   26 characters
-- ARGV[2]  user            string   whose it was when it was read: a digest, or "nobody"
-- ARGV[3]  original        string   the response that made it, as it was read
-- ARGV[4]  anonymous       string   that response without the person
-- ARGV[5]  slot_prefix     string   what precedes the slot in the slot keys of this merchant
-- ARGV[6]  lease_prefix    string   what precedes the suffix in the lease keys of this merchant
-- Returns {status, ...} in order of precedence:
--   booking_unknown               no such booking is remembered
--   replayed         taken_at_ms  it tells nothing already; it has its slot since that moment
--   changed                       it is not what was read
--   forgotten        taken_at_ms  it tells nothing from now on; likewise
-- Keeps: the spot stays booked until the moment that it was, and the booking can be changed as before.
-- Cost: constant: three reads, and four writes of three keys.
-- Rights: HMGET HDEL HSET booking; GET SET slot; HMGET HSET lease.
-- Promises: replayed, forgotten.
-- Repeatable: yes. A second run finds the first one's work.

--@include require_rights
--@include read_record

local booking_key = KEYS[1]
local booking_suffix = ARGV[1]
local user = ARGV[2]
local original = ARGV[3]
local anonymous = ARGV[4]
local slot_prefix = ARGV[5]
local lease_prefix = ARGV[6]

local record = read_record(booking_key, 'user', 'original', 'current_slot', 'spot', 'lease', 'taken_at_ms')
local found_user, found, slot, spot, lease = record[1], record[2], record[3], record[4], record[5]
local taken_at_ms = tonumber(record[6]) or 0
if not found_user then
  return {'booking_unknown'}
elseif found_user == 'nobody' and found == anonymous then
  return {'replayed', taken_at_ms}
elseif found_user ~= user or found ~= original then
  return {'changed'}
end

local spot_key = slot_prefix .. slot .. '#' .. spot
local lease_key = lease_prefix .. lease
local owner = 'booking ' .. booking_suffix .. ' '
local is_owner = redis.call('GET', spot_key) == owner .. user
local is_leased = read_record(lease_key, 'slot')[1]

require_rights(booking_key, 'HSET')
if is_owner then
  require_rights(spot_key, 'SET')
end
if is_leased then
  require_rights(lease_key, 'HSET')
end
-- Frees before it writes, so that it works on a store that is out of memory.
redis.call('HDEL', booking_key, 'original', 'additional_request')
redis.call('HSET', booking_key, 'user', 'nobody', 'original', anonymous, 'additional_request', '')
if is_owner then
  redis.call('SET', spot_key, owner .. 'nobody', 'KEEPTTL')
end
-- A caller's reference may be the person's name for all we know, and nothing needs it once the lease is consumed.
if is_leased then
  redis.call('HSET', lease_key, 'reference', '')
end
return {'forgotten', taken_at_ms}
