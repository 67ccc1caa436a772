--@include covers

-- is_covered(claims, other): whether any of some claims covers another one.
local function is_covered(claims, other)
  for _, claim in ipairs(claims) do
    if covers(claim, other) then
      return true
    end
  end
  return false
end
