-- Let go of a batch. ARGV 1 id, 2 who holds it, 3 ms until somebody is to look again (0: when its window is half empty, or
-- at once where its lines are to be read).
local id, holder, wait = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = batch_key(id)
local seen = call('HMGET', key, 'state', 'feeder', 'cursor', 'total', 'window')
if seen[2] ~= holder then return end
call('HDEL', key, 'feeder')
local left = tonumber(seen[4] or 0) - tonumber(seen[3] or 0)
local runs = seen[1] == 'in_progress' and left > 0
if (runs or seen[1] == 'validating') and wait > 0 then
  call('ZADD', FEED, whole(now + wait), id)
elseif seen[1] == 'validating' or runs and call('SCARD', key .. ':open') <= tonumber(seen[5]) / 2 then
  call('ZADD', FEED, now_text, id)
  call('PUBLISH', FEED, id)
else
  call('ZREM', FEED, id)
end
