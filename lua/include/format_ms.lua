-- format_ms(ms): every digit of a number of milliseconds; plain concatenation writes 1.8e+12.
local function format_ms(ms)
  return string.format('%.0f', ms)
end
