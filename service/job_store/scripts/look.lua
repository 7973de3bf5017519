-- What is on record of jobs, and how many of its lane start before each that is ready, itself included. Stands alone: nothing is
-- written here, and a look that carried what the steps share would cost more than it does.
-- ARGV: ids. Returns per job its fields, as HGETALL does, and its place (0: it is in no lane of the ready, nor in that of its key).
local queue, call, found = KEYS[1], redis.call, {}

local function place(key, id)
  if call('HGET', key, 'state') ~= 'queued' then return 0 end
  local rank = call('ZRANK', queue, id)
  if rank then return rank + 1 end
  local job = call('HMGET', key, 'interruptions', 'key_id')
  local interruptions, lane = tonumber(job[1] or 0) or 0, queue .. ':batch'
  if interruptions > 0 then lane = queue .. ':suspects:' .. math.min(interruptions, 5) end
  rank = call('ZRANK', lane, id) or call('ZRANK', queue .. ':wait:key:' .. (job[2] or ''), id)
  return rank and rank + 1 or 0
end

for i, id in ipairs(ARGV) do
  local key = 'darkroom:job:' .. id
  found[2 * i - 1] = call('HGETALL', key)
  found[2 * i] = place(key, id)
end
return found
