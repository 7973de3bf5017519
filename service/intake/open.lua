-- Note a call that waits for a job. KEYS 1 calls of one key and content: job id -> "{time in ms} {highest retry that joined}".
-- ARGV 1 job id, 2 life in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f 0', now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
