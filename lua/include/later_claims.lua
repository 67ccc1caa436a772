--@include read_claims

-- later_claims(of_day, of_merchant, day_start_s, generated_at_ms): the claims on a day of feeds that were made later.
local function later_claims(of_day, of_merchant, day_start_s, generated_at_ms)
  local later = {}
  for _, claims in ipairs({read_claims(of_day, 0), read_claims(of_merchant, day_start_s)}) do
    for _, claim in ipairs(claims) do
      if claim.made_ms > generated_at_ms and claim.to_s > 0 and claim.from_s < 86400 then
        later[#later + 1] = claim
      end
    end
  end
  return later
end
