-- read_claims(text, offset_s): the claims in a text, in a list; each says when a feed was made, and what it is complete for.
-- Starts are in [from_s, to_s), in seconds after the one that lies at offset_s in the text; * stands for any.
local function read_claims(text, offset_s)
  local claims = {}
  for made, rest in text:gmatch('(%d+),([^|\n]+)') do
    local service, from, to, duration, staff, room, party =
      rest:match('^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*)$')
    claims[#claims + 1] = {
      text = made .. ',' .. rest,
      made_ms = tonumber(made),
      from_s = (tonumber(from) or -math.huge) - offset_s,
      to_s = (tonumber(to) or math.huge) - offset_s,
      named = {service, duration, staff, room, party}}
  end
  return claims
end
