-- require_rights(key, command, ...): raises NOPERM unless the store's user may run each of these commands on this key.
-- A script asks for what follows its first write before that write, because Redis takes nothing back. Only Redis 7.0
-- and later can be asked; on 6.2 each new connection is examined instead (docs/guarantees.md).
local function require_rights(key, ...)
  local may_run = redis.acl_check_cmd
  for place = 1, may_run and select('#', ...) or 0 do
    local command = select(place, ...)
    if not may_run(command, key) then
      error(redis.error_reply('NOPERM nothing is written: the user may not run ' .. command .. ' on ' .. key:match('^[^:]*')))
    end
  end
end
