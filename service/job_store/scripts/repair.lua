-- Put back entries of unfinished jobs that something threw out of the queue (a stock arq worker does). ARGV ids.
-- Returns the ids that were put back.
local healed = {}
for _, id in ipairs(ARGV) do
  local job = read(id)
  if job and (job.state == 'queued' or job.state == 'running') then
    local found = redis.call('ZSCORE', queue, id) or redis.call('ZSCORE', BATCH, id)
    for k = 1, SUSPECT_LANES do found = found or redis.call('ZSCORE', suspects(k), id) end
    if not found then
      -- A running one comes back as a lapsed lease: its worker, if it lives, renews it within a heartbeat.
      if job.state == 'running' then
        redis.call('ZADD', queue, whole(now + 10000), id)
      elseif job.due_ms then
        redis.call('ZADD', queue, job.due_ms, id)
      else
        redis.call('ZADD', lane(job.priority, job.interruptions), job.tag, id)
      end
      healed[#healed + 1] = id
    end
  end
end
if #healed > 0 then ring() end
return healed
