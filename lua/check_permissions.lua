-- check_permissions: it is known which of the commands that the scripts use this user may not run; nothing has changed.
-- KEYS[1]  probe_key  string  belongs to nobody; it does not exist before and after
-- Returns {status, ...} in order of precedence:
--   checked  denied  the names of the denied commands, in one string
-- Keeps: no key is left behind, whichever commands are denied: all but the first find a string that ends by itself.
-- Cost: constant; some thirty commands on one key.
-- Rights: none.
-- Promises: nothing.
-- Repeatable: yes. It leaves nothing.

local probe_key = KEYS[1]

-- Those for hashes and sorted sets are refused for the type of the key, which is looked at after the permission.
local attempts = {
  {'SET', probe_key, '1', 'PX', '1000'},
  {'TIME'},
  {'GET', probe_key},
  {'MGET', probe_key},
  {'EXISTS', probe_key},
  {'PTTL', probe_key},
  {'PEXPIRE', probe_key, '1000'},
  {'HGET', probe_key, 'f'},
  {'HMGET', probe_key, 'f'},
  {'HGETALL', probe_key},
  {'HKEYS', probe_key},
  {'HLEN', probe_key},
  {'HEXISTS', probe_key, 'f'},
  {'HSET', probe_key, 'f', '1'},
  {'HSETNX', probe_key, 'f', '1'},
  {'HINCRBY', probe_key, 'f', '1'},
  {'HDEL', probe_key, 'f'},
  {'ZADD', probe_key, '1', 'm'},
  {'ZSCORE', probe_key, 'm'},
  {'ZREM', probe_key, 'm'},
  {'ZCARD', probe_key},
  {'ZRANGE', probe_key, '0', '0'},
  {'XADD', probe_key, '*', 'f', '1'},
  {'XLEN', probe_key},
  {'XRANGE', probe_key, '-', '+'},
  {'PEXPIREAT', probe_key, '1'},
  {'DEL', probe_key},
}
local refused = {}
for _, attempt in ipairs(attempts) do
  local reply = redis.pcall(unpack(attempt))
  local refusal = type(reply) == 'table' and reply.err or ''
  if refusal:find("The user executing the script can't") or refusal:find('ACL failure in script') then
    refused[#refused + 1] = attempt[1]
    -- Without the string the others would not be refused, and one of them could leave something.
    if attempt[1] == 'SET' then break end
  end
end
local denied = table.concat(refused, ' ')
return {'checked', denied}
