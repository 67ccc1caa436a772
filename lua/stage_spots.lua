-- stage_spots: slots of a feed wait beside the inventory until the whole of their day can be committed.
-- KEYS[1]  stage_key  hash  what one import has read so far of one merchant's day
-- ARGV[1]  slots    string   a line for each: the slot as in slot keys, spots in total, spots open, place in the import;
--                            a < before the numbers where they only bound the slot; at most 100
-- ARGV[2]  keep_ms  integer  how long the stage outlives the last call
-- Returns {status, ...} in order of precedence:
--   staged  repeated  the slots are staged; of those of the places listed here, an earlier one is
-- Keeps: nobody who asks for a lease sees a stage. The first of two entries for one slot stays.
-- Cost: one write a slot.
-- Rights: HSETNX HGET PEXPIRE stage.
-- Promises: nothing.
-- Repeatable: yes. An entry is told from another by its place in the import.

--@include require_rights

local stage_key = KEYS[1]
local slots = ARGV[1]
local keep_ms = ARGV[2]

require_rights(stage_key, 'HGET', 'PEXPIRE')
local places = {}
for slot, entry, place in slots:gmatch('(%S+) (<?%d+ %d+ (%d+))\n') do
  if redis.call('HSETNX', stage_key, slot, entry) == 0
      and redis.call('HGET', stage_key, slot):match('%d+$') ~= place then
    places[#places + 1] = place
  end
end
redis.call('PEXPIRE', stage_key, keep_ms)
local repeated = table.concat(places, ' ')
return {'staged', repeated}
