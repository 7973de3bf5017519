-- Note when a key was revoked, the first time. KEYS 1 its record.
local time = redis.call('TIME')
if redis.call('EXISTS', KEYS[1]) == 0 then return end
redis.call('HSETNX', KEYS[1], 'revoked_ms', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
