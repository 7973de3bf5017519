-- Delete the records of final jobs and leave a mark, so that their owner is told 410. ARGV 1 life of the mark in ms, then ids.
-- A job that ended just now stays listed for the sweep: a worker that heard late of its end may still put an image down.
-- Returns per job 1 gone, 0 not final.
local LATE_MS = 600000
local answers = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local job = read(id, 'completed_ms', 'alias')
  if job and (job[STATE] == 'queued' or job[STATE] == 'running') then
    answers[#answers + 1] = 0
  else
    call('ZREM', 'darkroom:retention', id)
    if job then
      call('SET', 'darkroom:gone:' .. id, job[ACCOUNT], 'PX', ARGV[1])
      call('ZREM', 'darkroom:jobs:' .. job[ACCOUNT], id)
      if job[SHOWN] then call('ZREM', EPHEMERAL, id) end
      if job[ALSO + 1] then call('PEXPIRE', alias_key(job[ACCOUNT], job[ALSO + 1]), ARGV[1]) end
      if now - (tonumber(job[ALSO] or 0) or 0) < LATE_MS then call('ZADD', 'darkroom:retention', whole(now + LATE_MS), id) end
    end
    call('DEL', job_key(id))
    answers[#answers + 1] = 1
  end
end
return answers
