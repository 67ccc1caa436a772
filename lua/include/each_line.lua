-- each_line(text): the lines of a text, in a list; each ends with a line feed. At most 100 are sent at once.
local function each_line(text)
  local lines = {}
  for line in text:gmatch('([^\n]+)\n') do
    lines[#lines + 1] = line
  end
  return lines
end
