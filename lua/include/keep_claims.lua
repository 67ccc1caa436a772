--@include is_covered

-- keep_claims(base_ms, claims): since when everything is known, and the claims made later, as they are stored. At most 50
-- claims in 8000 bytes: of more the oldest count for everything. What a later claim covers is left out.
local function keep_claims(base_ms, claims)
  table.sort(claims, function(one, other)
    if one.made_ms ~= other.made_ms then
      return one.made_ms > other.made_ms
    end
    return one.text < other.text
  end)
  local everything = {named = {'*', '*', '*', '*', '*'}, from_s = -math.huge, to_s = math.huge}
  local kept, texts, bytes = {}, {}, 0
  for _, claim in ipairs(claims) do
    if claim.made_ms > base_ms and not is_covered(kept, claim) then
      bytes = bytes + #claim.text + 1
      if covers(claim, everything) or #kept == 50 or bytes > 8000 then
        base_ms = claim.made_ms
        break
      end
      kept[#kept + 1], texts[#texts + 1] = claim, '|' .. claim.text
    end
  end
  return base_ms, table.concat(texts)
end
