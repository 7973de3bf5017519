-- Delete the records of final jobs and leave a mark, so that their owner is told 410. ARGV 1 life of the mark in ms, then ids.
-- Returns per job 1 gone, 0 not final.
local answers = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local job = read(id)
  if job and (job[STATE] == 'queued' or job[STATE] == 'running') then
    answers[#answers + 1] = 0
  else
    if job then
      call('SET', 'darkroom:gone:' .. id, job[ACCOUNT], 'PX', ARGV[1])
      call('ZREM', 'darkroom:jobs:' .. job[ACCOUNT], id)
      call('DEL', job_key(id))
    end
    call('ZREM', 'darkroom:retention', id)
    call('ZREM', 'darkroom:outbox', id)
    answers[#answers + 1] = 1
  end
end
return answers
