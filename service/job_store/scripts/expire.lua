-- End jobs that did not start before their deadline. ARGV 1 most, 2 retention ms. Returns the ids that expired.
local ids = redis.call('ZRANGEBYSCORE', 'darkroom:deadlines', '-inf', whole(now), 'LIMIT', 0, tonumber(ARGV[1]))
local expired = {}
for _, id in ipairs(ids) do
  local job = read(id)
  if job and job.state == 'queued' and not job.started_ms then
    finish(id, job, 'expired', 0, ARGV[2], {})
    expired[#expired + 1] = id
  else
    redis.call('ZREM', 'darkroom:deadlines', id)
  end
end
return expired
