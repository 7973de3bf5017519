-- Prolong a worker's leases. ARGV 1 lease ms, then id and fence per job.
-- A lease that lapsed but that nobody took over is renewed too.
-- Returns per job 1 renewed, 0 fenced off, 2 canceled or expired, 3 final under this very fence.
local lease, answers = tonumber(ARGV[1]), {}
redis.call('SET', queue .. ':pulse', whole(now))
for at = 2, #ARGV, 2 do
  local id, fence = ARGV[at], ARGV[at + 1]
  local seen = redis.call('HMGET', job_key(id), 'state', 'fence')
  if seen[2] ~= fence or seen[1] == 'queued' then
    answers[#answers + 1] = 0
  elseif seen[1] == 'running' then
    if redis.call('ZADD', queue, 'XX', 'CH', whole(now + lease), id) == 0 and not redis.call('ZSCORE', queue, id) then
      drop(id)
      redis.call('ZADD', queue, whole(now + lease), id)
    end
    answers[#answers + 1] = 1
  elseif seen[1] == 'canceled' or seen[1] == 'expired' then
    answers[#answers + 1] = 2
  else
    answers[#answers + 1] = 3
  end
end
return answers
