-- is_known_full(full_key, highest): whether every spot of a slot is known to be taken, so that none needs to be looked
-- at. Never of slots with at most 16 numbers: to look at them all costs hardly more.
local function is_known_full(full_key, highest)
  return highest > 16 and redis.call('EXISTS', full_key) == 1
end
