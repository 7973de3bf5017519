-- Delete the records of batches whose time has come; their owner is told so for a while, unless nobody was ever told of them. What
-- lies of them in the store goes next. ARGV 1 most, 2 life of the mark in ms. Returns their ids.
local due = call('ZRANGEBYSCORE', OVER, '-inf', now_text, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  local seen = redis.pcall('HMGET', batch_key(id), 'state', 'account')
  if seen.err then
    call('UNLINK', batch_key(id))
  elseif seen[1] then
    drop_batch(id, seen[2])
    if seen[1] ~= 'validating' then call('SET', 'darkroom:gone:' .. id, seen[2], 'PX', ARGV[2]) end
  end
end
return due
