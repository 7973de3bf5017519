-- Make jobs canceled, running ones too. ARGV 1 account, 2 retention ms, then ids.
-- Returns per job 'canceled' | 'already' (canceled before) | 'final' | 'unknown' (none, or somebody else's).
local answers = {}
for at = 3, #ARGV do
  local id = ARGV[at]
  local job = read(id)
  if not job or job[ACCOUNT] ~= ARGV[1] then
    answers[#answers + 1] = 'unknown'
  elseif job[STATE] == 'canceled' then
    answers[#answers + 1] = 'already'
  elseif job[STATE] ~= 'queued' and job[STATE] ~= 'running' then
    answers[#answers + 1] = 'final'
  else
    finish(id, job, 'canceled', 0, ARGV[2])
    if job[STATE] == 'running' then call('PUBLISH', 'darkroom:cancels', id) end
    answers[#answers + 1] = 'canceled'
  end
end
flush()
return answers
