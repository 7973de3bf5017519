-- Batches whose time is over, or that were called off, and whose lines are not all over yet. ARGV 1 most.
local AGAIN_MS = 5000
local NEXT = { validating = 'expiring', in_progress = 'expiring', cancelling = 'cancelling', expiring = 'expiring' }
local ids = {}
for _, id in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now_text, 'LIMIT', 0, ARGV[1])) do
  local state = NEXT[call('HGET', batch_key(id), 'state')]
  if state then
    call('HSET', batch_key(id), 'state', state)
    call('ZREM', FEED, id)
    call('ZADD', EXPIRY, whole(now + AGAIN_MS), id)
    see_to_batch(id)
    ids[#ids + 1] = id
  else
    call('ZREM', EXPIRY, id)
  end
end
flush()
return ids
