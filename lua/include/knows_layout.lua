-- knows_layout(v): whether records of this layout may be read; those of the first release have the same layout, and none
-- is without `v`. A later release raises it only where this one would do harm (docs/development.md).
local function knows_layout(v)
  return not v or v == '1'
end
