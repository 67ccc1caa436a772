-- read_fields(key, names): those fields of a hash, in the same order; false where there is none.
local function read_fields(key, names)
  return #names > 0 and redis.call('HMGET', key, unpack(names)) or {}
end
