-- Let go of a batch. ARGV 1 id, 2 who holds it, 3 ms until somebody is to look again (0: when its window is half empty, or
-- at once where its lines are to be read), 4 what stood in the way (delays | crashes), if anything did: the wait doubles with
-- each time that it does since the batch last came on.
local LONGEST_MS = 30000
local id, holder, wait, obstacle = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] or ''
local key = batch_key(id)
local seen = call('HMGET', key, 'state', 'feeder', 'cursor', 'total', 'window')
if seen[2] ~= holder then return end
call('HDEL', key, 'feeder')
if obstacle ~= '' then
  local before = call('HINCRBY', key, obstacle, 1) - 1
  wait = math.min(LONGEST_MS, wait * 2 ^ math.min(before, 20))
end
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
