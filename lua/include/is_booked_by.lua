-- is_booked_by(owner, user): whether the owner of a spot is a booking of this user; false for `nobody`, which names no user.
local function is_booked_by(owner, user)
  return user ~= 'nobody' and owner and owner:match('^booking %w+ (%w+)$') == user
end
