-- Ids whose time to be deleted has come. One that lives was announced before it was written down: it is looked at again in an
-- hour, or when it has become final and got a time of its own. ARGV 1 most ids looked at.
local LATER_MS = 3600000
local due = {}
for _, id in ipairs(call('ZRANGEBYSCORE', 'darkroom:retention', '-inf', now_text, 'LIMIT', 0, ARGV[1])) do
  local state = redis.pcall('HGET', job_key(id), 'state')
  if state == 'queued' or state == 'running' then
    call('ZADD', 'darkroom:retention', whole(now + LATER_MS), id)
  else
    due[#due + 1] = id
  end
end
return due
