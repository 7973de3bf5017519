-- Put the handles of upstream tasks on record. ARGV per job: id, fence, tasks (JSON). Returns per job 1 kept, 0 not ours any more.
local answers = {}
for at = 1, #ARGV, 3 do
  local seen = redis.pcall('HMGET', job_key(ARGV[at]), 'state', 'fence')
  local ours = not seen.err and seen[1] == 'running' and seen[2] == ARGV[at + 1]
  if ours then call('HSET', job_key(ARGV[at]), 'tasks', ARGV[at + 2]) end
  answers[#answers + 1] = ours and 1 or 0
end
return answers
