-- is_one_of(users, user): whether the digest of a user is among those of a caller, with blanks between; `nobody` is itself.
-- All digests have the same length, so none is found inside another.
local function is_one_of(users, user)
  return user and users:find(user, 1, true) ~= nil
end
