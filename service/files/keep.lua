-- Write a file down whose content is whole. KEYS 1 its record, 2 its account's listing, 3 what is due to go, 4 what remembers
-- the caller's name for the upload. ARGV 1 id, 2 for how long it is kept in ms (0: until it is deleted), 3 hash of the content
-- (empty: the upload has no name), 4 for how long the name is remembered in ms, then field and value pairs of the record.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local promised = redis.call('ZSCORE', KEYS[3], ARGV[1])
-- The sweep may be at its content already.
if not promised or tonumber(promised) <= now then return {'late'} end
if ARGV[3] ~= '' then
  local known = redis.call('GET', KEYS[4])
  if known then
    local id, hash = known:match('^(%S+) (%S+)$')
    local stored = redis.call('HMGET', 'darkroom:file:' .. id, 'kind', 'expires_ms')
    local expires = tonumber(stored[2] or 0)
    if stored[1] and (expires == 0 or expires > now) then
      if hash ~= ARGV[3] then return {'mismatch'} end
      return {'joined', id}
    end
  end
  redis.call('SET', KEYS[4], ARGV[1] .. ' ' .. ARGV[3], 'PX', ARGV[4])
end
local life = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'created_ms', now, unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], now, ARGV[1])
if life > 0 then
  redis.call('HSET', KEYS[1], 'expires_ms', now + life)
  redis.call('ZADD', KEYS[3], now + life, ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return {'kept', ARGV[1]}
