-- highest_in_use(spot_stem, at_least, highest): the highest number up to `highest` whose spot is held or booked, or
-- at_least where none above that is. At most 1000 are looked at.
local function highest_in_use(spot_stem, at_least, highest)
  local spot_keys = {}
  for spot = at_least + 1, highest do
    spot_keys[#spot_keys + 1] = spot_stem .. spot
  end
  local owners = #spot_keys > 0 and redis.call('MGET', unpack(spot_keys)) or spot_keys
  for place = #spot_keys, 1, -1 do
    if owners[place] then
      return at_least + place
    end
  end
  return at_least
end
