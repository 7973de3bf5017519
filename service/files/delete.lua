-- Delete a file for its owner; its content goes next. KEYS 1 its record, 2 its account's listing, 3 what is due to go. ARGV 1 id,
-- 2 account, 3 for how long it is still known where it stood in the listing, in ms. Returns 1, or 0 where the account has no
-- such file.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'account', 'kind', 'expires_ms', 'created_ms')
local expires = tonumber(stored[3] or 0)
if stored[1] ~= ARGV[2] or not stored[2] or (expires > 0 and expires <= now) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'account', ARGV[2], 'created_ms', stored[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[1])
return 1
