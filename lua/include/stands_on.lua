--@include read_record

-- stands_on(booking_prefix, booking, slot_prefix, slot): whether a booking stands on a slot, on whichever of its spots.
-- One truth: the spot key says whose the spot is; the booking's record only says where to look.
local function stands_on(booking_prefix, booking, slot_prefix, slot)
  local place = read_record(booking_prefix .. booking, 'current_slot', 'spot')
  if place[1] ~= slot then
    return false
  end
  local owner = redis.call('GET', slot_prefix .. slot .. '#' .. place[2])
  return owner and owner:match('^booking (%w+) ') == booking
end
