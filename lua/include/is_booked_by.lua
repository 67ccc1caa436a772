--@include is_one_of

-- is_booked_by(owner, users): whether the owner of a spot is a booking of the user who has these digests; false for `nobody`,
-- which names no user.
local function is_booked_by(owner, users)
  return users ~= 'nobody' and owner and is_one_of(users, owner:match('^booking %w+ (%w+)$'))
end
