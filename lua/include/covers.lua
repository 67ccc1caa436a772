-- covers(one, other): whether a claim speaks of everything that another one speaks of.
local function covers(one, other)
  for place, name in ipairs(one.named) do
    if name ~= '*' and name ~= other.named[place] then
      return false
    end
  end
  return one.from_s <= other.from_s and other.to_s <= one.to_s
end
