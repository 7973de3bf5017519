-- Make jobs canceled, running ones too. ARGV 1 account, 2 retention ms, then ids.
-- Returns per job 'canceled' | 'already' (canceled before) | 'final' | 'unknown' (none, or somebody else's).
local answers = {}
for at = 3, #ARGV do
  local id = ARGV[at]
  local job = read(id)
  if not job or job.account ~= ARGV[1] then
    answers[#answers + 1] = 'unknown'
  elseif job.state == 'canceled' then
    answers[#answers + 1] = 'already'
  elseif job.state ~= 'queued' and job.state ~= 'running' then
    answers[#answers + 1] = 'final'
  else
    finish(id, job, 'canceled', 0, ARGV[2], {})
    if job.state == 'running' then redis.call('PUBLISH', 'darkroom:cancels', id) end
    answers[#answers + 1] = 'canceled'
  end
end
return answers
