-- The oldest unanswered job that no retry of this count has joined. KEYS 1 see open.lua; ARGV 1 count, 2 life in ms.
-- Returns its id, or nil. Jobs that are gone, or ended without images, are not worth joining.
local count, life = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local calls, best, best_at = redis.call('HGETALL', KEYS[1]), nil, nil
for i = 1, #calls, 2 do
  local at, joined = string.match(calls[i + 1], '(%d+) (%d+)')
  local state = redis.call('HGET', 'darkroom:job:' .. calls[i], 'state')
  local alive = state == 'queued' or state == 'running' or state == 'succeeded'
  if not alive or now - tonumber(at) > life then
    if state then redis.call('HDEL', KEYS[1], calls[i]) end
  elseif tonumber(joined) < count and (not best_at or tonumber(at) < best_at) then
    best, best_at = calls[i], tonumber(at)
  end
end
if best then redis.call('HSET', KEYS[1], best, string.format('%.0f %d', best_at, count)) end
return best
