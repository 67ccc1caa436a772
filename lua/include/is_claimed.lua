-- is_claimed(claims, slot): whether any of a day's claims speaks of a slot of that day.
local function is_claimed(claims, slot)
  if #claims == 0 then
    return false
  end
  local service, hours, minutes, seconds, duration, staff, room, party =
    slot:match('^([^:]*):[^T]*T(%d+):(%d+):(%d+)Z/([^:]*):([^:]*):([^:]*):(%d+)$')
  local start_s = hours * 3600 + minutes * 60 + seconds
  for _, claim in ipairs(claims) do
    local named = claim.named
    if claim.from_s <= start_s and start_s < claim.to_s
        and (named[1] == '*' or named[1] == service)
        and (named[2] == '*' or named[2] == duration)
        and (named[3] == '*' or named[3] == staff)
        and (named[4] == '*' or named[4] == room)
        and (named[5] == '*' or named[5] == party) then
      return true
    end
  end
  return false
end
