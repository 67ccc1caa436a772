--@include read_spots
--@include full_key_of
--@include is_known_full

-- find_known_full(slot_prefix, spots_prefix, slot): the key that says that every spot of a slot is taken, if it is there;
-- whatever frees one of the spots deletes the key with it.
local function find_known_full(slot_prefix, spots_prefix, slot)
  if spots_prefix == '' then
    return nil
  end
  local highest = select(2, read_spots(spots_prefix, slot))
  local full_key = full_key_of(slot_prefix, slot)
  return is_known_full(full_key, highest) and full_key or nil
end
