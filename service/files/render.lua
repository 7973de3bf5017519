-- Write down a file of a batch, whose content is in no store; twice is the same as once, a deletion meanwhile included. KEYS 1
-- its record, 2 its account's listing, 3 what is due to go. ARGV 1 id, 2 when it goes in ms (0: when it is deleted), then field
-- and value pairs of the record.
if redis.call('EXISTS', KEYS[1]) == 1 then return end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'created_ms', now, 'expires_ms', ARGV[2], unpack(ARGV, 3))
redis.call('ZADD', KEYS[2], now, ARGV[1])
if tonumber(ARGV[2]) > 0 then redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1]) end
