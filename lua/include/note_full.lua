--@include format_ms

-- note_full(full_key, spot_stem, owners, now): it is known that every spot is taken, until the first of the holds ends,
-- and for at most a second; what frees or raises deletes the key. PTTL is read after now, so the sum never lies behind
-- the end of the hold. Where nothing can be written, nothing is known, and the refusal stands.
local function note_full(full_key, spot_stem, owners, now)
  if #owners <= 16 then
    return
  end
  local known_until_ms = now + 1000
  for spot, owner in ipairs(owners) do
    if owner and owner:sub(1, 6) == 'lease ' then
      known_until_ms = math.min(known_until_ms, now + redis.call('PTTL', spot_stem .. spot))
    end
  end
  if known_until_ms > now then
    redis.pcall('SET', full_key, '1', 'PXAT', format_ms(known_until_ms))
  end
end
