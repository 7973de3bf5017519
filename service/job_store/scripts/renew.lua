-- Prolong a worker's leases. ARGV 1 lease ms, then id and fence per job.
-- A lease that lapsed but that nobody took over is renewed too.
-- Returns per job 1 renewed, 0 fenced off, 2 canceled or expired, 3 final under this very fence.
local lease_end, answers = whole(now + tonumber(ARGV[1])), {}
call('SET', queue .. ':pulse', now_text)
for at = 2, #ARGV, 2 do
  local id, fence = ARGV[at], ARGV[at + 1]
  local seen = call('HMGET', job_key(id), 'state', 'fence')
  if seen[2] ~= fence or seen[1] == 'queued' then
    answers[#answers + 1] = 0
  elseif seen[1] == 'running' then
    if not call('ZSCORE', queue, id) then add(removed, queue, id) end
    add(scores, queue, lease_end, id)
    answers[#answers + 1] = 1
  elseif seen[1] == 'canceled' or seen[1] == 'expired' then
    answers[#answers + 1] = 2
  else
    answers[#answers + 1] = 3
  end
end
flush()
return answers
