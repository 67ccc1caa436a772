-- read_order(known_from): of a day's field, when the newest feed was made that says anything of the day, when the one that
-- says all of it, and the claims of those that say a part. Until 0.1.1 a day has one moment, that of the whole.
local function read_order(known_from)
  local newest, order = (known_from or '0 0'):match('^(%d+) ?(.-) ?%d+$')
  local newest_ms = tonumber(newest)
  if order == '' then
    return newest_ms, newest_ms, ''
  end
  return newest_ms, tonumber(order:match('^%d+')), order
end
