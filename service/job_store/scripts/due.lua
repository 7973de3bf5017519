-- Ids whose time to be deleted has come. One that lives was announced before it was written down: it is looked at again in an
-- hour, or when it has become final and got a time of its own. A line goes no earlier than its batch, and that not before its own
-- retention from now, as long as it has not ended. ARGV 1 most ids looked at. Returns how many were, and of them those to delete.
local LATER_MS = 3600000
local function batch_goes_at(place)
  local batch = string.match(place or '', '^%S+')
  local seen = batch and redis.pcall('HMGET', batch_key(batch), 'state', 'forgotten_ms', 'retention_ms')
  if not seen or seen.err or not seen[1] then return 0 end
  return tonumber(seen[2] or now + (tonumber(seen[3]) or LATER_MS)) or 0
end

local found = call('ZRANGEBYSCORE', 'darkroom:retention', '-inf', now_text, 'LIMIT', 0, ARGV[1])
local answer = { #found }
for _, id in ipairs(found) do
  local seen = redis.pcall('HMGET', job_key(id), 'state', 'batch')
  local lives = seen[1] == 'queued' or seen[1] == 'running'
  local later = lives and now + LATER_MS or batch_goes_at(seen[2])
  if later > now then
    call('ZADD', 'darkroom:retention', whole(later), id)
    if not lives then call('HSET', job_key(id), 'expires_ms', whole(later)) end
  else
    answer[#answer + 1] = id
  end
end
return answer
