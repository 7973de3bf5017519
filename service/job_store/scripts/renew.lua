-- Prolong a worker's leases. ARGV 1 lease ms, 2 stale ms, then id and fence per job.
-- A lease that lapsed but that nobody took over is renewed too.
-- Returns per job 1 renewed, 0 fenced off, 2 canceled or expired, 3 final under this very fence.
local lease_end, answers = whole(now + tonumber(ARGV[1])), {}
beat(tonumber(ARGV[2]), tonumber(ARGV[1]))
for at = 3, #ARGV, 2 do
  local id, fence = ARGV[at], ARGV[at + 1]
  local job = read(id)
  local state = job and job[STATE]
  if not job or job[FENCE] ~= fence or state == 'queued' then
    answers[#answers + 1] = 0
  elseif state == 'running' then
    if not call('ZSCORE', queue, id) then add(removed, queue, id) end
    add(scores, queue, lease_end, id)
    answers[#answers + 1] = 1
  elseif state == 'canceled' or state == 'expired' then
    answers[#answers + 1] = 2
  else
    answers[#answers + 1] = 3
  end
end
flush()
return answers
