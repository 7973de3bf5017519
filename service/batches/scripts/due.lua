-- Batches whose time is over, or that were called off, and whose lines are not all over yet. ARGV 1 most.
local AGAIN_MS = 5000
local NEXT = { validating = 'expiring', in_progress = 'expiring', cancelling = 'cancelling', expiring = 'expiring' }
local ids = {}
for _, id in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now_text, 'LIMIT', 0, ARGV[1])) do
  local seen = redis.pcall('HGET', batch_key(id), 'state')
  local state = NEXT[seen]
  if type(seen) == 'table' then
    set_aside(id)
  elseif state then
    call('HSET', batch_key(id), 'state', state)
    call('ZREM', FEED, id)
    call('ZADD', EXPIRY, whole(now + AGAIN_MS), id)
    if pcall(see_to_batch, id) then ids[#ids + 1] = id else set_aside(id) end
  else
    call('ZREM', EXPIRY, id)
  end
end
flush()
return ids
