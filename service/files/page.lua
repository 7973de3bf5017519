-- List ids of an account's files. KEYS 1 its listing, 2 the record of the file behind which the page begins. ARGV 1 account,
-- 2 that file's id (empty: begin at the beginning), 3 asc or desc by time of creation, 4 how many. Returns false where no
-- such file is, or was lately, the account's.
local newest_first = ARGV[3] == 'desc'
local command, from, to = 'ZRANGEBYSCORE', '-inf', '+inf'
if newest_first then command, from, to = 'ZREVRANGEBYSCORE', to, from end
local skip = 0
if ARGV[2] ~= '' then
  local stored = redis.call('HMGET', KEYS[2], 'account', 'created_ms')
  if stored[1] ~= ARGV[1] then return false end
  from = stored[2]
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, from)) do
    local passed = id <= ARGV[2]
    if newest_first then passed = id >= ARGV[2] end
    if passed then skip = skip + 1 end
  end
end
return redis.call(command, KEYS[1], from, to, 'LIMIT', skip, ARGV[4])
