-- mark_user_key: it stands beside the marker by which key users are digested; or that is another one, and nothing changes.
-- KEYS[1]  user_key_key  string  the fingerprint of the key that writes; without a TTL
-- ARGV[1]  writing  string   the fingerprint of the key that this process writes with; "none" for digests without a key
-- ARGV[2]  read     string   those of all keys that it reads, with blanks between
-- ARGV[3]  is_new   integer  1 where nothing can have been written without a fingerprint: there was no marker, or the data
--                            of which the process knew the fingerprint is lost
-- Returns {status, ...} in order of precedence:
--   other   fingerprint  the store's users are digested with a key that the process does not read
--   marked               its key stands there now
-- Keeps: no process writes or reads users whose key it does not hold. Before there were keys there was no fingerprint.
-- Cost: constant: one read, one write.
-- Rights: GET SET marker.
-- Promises: nothing.
-- Repeatable: yes. A second run finds the first one's work.

--@include is_one_of
--@include require_rights

local user_key_key = KEYS[1]
local writing = ARGV[1]
local read = ARGV[2]
local is_new = ARGV[3]

local stored = redis.call('GET', user_key_key)
local found = stored or (is_new == '1' and writing or 'none')
if not is_one_of(read, found) then
  return {'other', found}
end
-- Nothing is written without a key: a store that is full, or whose user has no such right, serves on as before.
if writing ~= (stored or 'none') then
  require_rights(user_key_key, 'SET')
  redis.call('SET', user_key_key, writing)
end
return {'marked'}
