-- full_key_of(slot_prefix, slot): the key that stands while every spot of a slot with many is known to be taken.
local function full_key_of(slot_prefix, slot)
  return 'full:' .. slot_prefix:match('^slot:(.*)$') .. slot
end
