--@include highest_in_use

-- close_slot(spot_stem, highest): what stays of a slot that leaves the inventory: nil, or no spots and the highest number
-- in use, while any is held or booked. Should the slot come back, its old owners still count.
local function close_slot(spot_stem, highest)
  local in_use = highest_in_use(spot_stem, 0, highest)
  return in_use > 0 and '0 ' .. in_use or nil
end
