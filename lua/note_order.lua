-- note_order: no feed that was made earlier adds what a feed speaks of and does not list, on any day of a merchant.
-- KEYS[1]  inventory_key  hash  what is known of the merchant's inventory
-- ARGV[1]  claims           string   a line for each thing that the feed is complete for on more than one day, as in
--                                    lua/README.md, starts in epoch seconds; at most 100
-- ARGV[2]  generated_at_ms  integer  when the feed was made, epoch ms
-- ARGV[3]  known_until_ms   integer  until when this is kept in mind at least, epoch ms
-- ARGV[4]  is_listed        integer  1 when slots of the merchant are about to be added, else 0
-- ARGV[5]  complete_ms      integer  when the latest complete feed was made, epoch ms; 0 when there is none
-- Returns {status, ...} in order of precedence:
--   merchant_unknown  nothing is known of the merchant, nor about to be
--   older_feed        nothing is known of the merchant, because a later complete feed lists no such merchant
--   noted             it is kept in mind
-- Keeps: of two feeds the later one counts, whichever comes first. Beyond the bound more is refused to earlier feeds, not less.
-- Cost: two reads and two writes. The claims, 150 at most, are held against one another.
-- Rights: TIME; PTTL HMGET HDEL HSET PEXPIREAT inventory.
-- Promises: nothing.
-- Repeatable: yes. It says the same again.

--@include now_ms
--@include format_ms
--@include require_rights
--@include read_record
--@include read_claims
--@include keep_claims

local inventory_key = KEYS[1]
local claims = ARGV[1]
local generated_at_ms = tonumber(ARGV[2])
local known_until_ms = tonumber(ARGV[3])
local is_listed = ARGV[4]
local complete_ms = tonumber(ARGV[5])

local now = now_ms()

local remaining_ms = redis.call('PTTL', inventory_key)
local left_out, order = unpack(read_record(inventory_key, 'left_out', 'order'))
if remaining_ms == -2 and (is_listed == '0' or known_until_ms <= now) then
  return {'merchant_unknown'}
elseif remaining_ms == -2 and complete_ms > generated_at_ms then
  return {'older_feed'}
end
local known = {}
for _, text in ipairs({order or '', claims}) do
  for _, claim in ipairs(read_claims(text, 0)) do
    -- Nothing is known any more of days that were over two days ago.
    if (claim.to_s + 172800) * 1000 > now then
      known[#known + 1] = claim
    end
  end
end
local base_ms, kept = keep_claims(tonumber(left_out or '0'), known)

require_rights(inventory_key, 'HSET', 'HDEL', 'PEXPIREAT')
redis.call('HSET', inventory_key, 'v', '1')
if base_ms > 0 then
  redis.call('HSET', inventory_key, 'left_out', format_ms(base_ms))
end
if kept ~= '' then
  redis.call('HSET', inventory_key, 'order', kept)
else
  redis.call('HDEL', inventory_key, 'order')
end
if remaining_ms < known_until_ms - now then
  redis.call('PEXPIREAT', inventory_key, format_ms(known_until_ms))
end
return {'noted'}
