-- Prolong leases on deliveries, lapsed ones too that nobody took over. ARGV 1 lease ms, 2 stale ms, then id and fence
-- of each. Returns per delivery 1 renewed, 0 fenced off, 3 settled under this very fence.
local answers, lease_end = {}, whole(now + tonumber(ARGV[1]))
beat(tonumber(ARGV[2]), tonumber(ARGV[1]))
for at = 3, #ARGV, 2 do
  local d = look(ARGV[at])
  if not d or d[FENCE] ~= ARGV[at + 1] then
    answers[#answers + 1] = 0
  elseif d[STATE] == 'running' then
    call('ZADD', DELIVER, lease_end, ARGV[at])
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = 3
  end
end
return answers
