-- Take a permit for a second call of a running job, beside its first. ARGV 1 id, 2 fence, 3 routes it may take (one a line),
-- 4 providers served. Returns its route, the same for a repeat; '' where none of them takes calls just now.
-- Whoever waits for a permit comes first: nobody has to wait for what is only to be faster.
local job = read(ARGV[1])
if not job or job[STATE] ~= 'running' or job[FENCE] ~= ARGV[2] or not job[VIA] then return '' end
if job[VIA2] then return job[VIA2] end
local served = {}
for name in string.gmatch(ARGV[4], '%S+') do served[name] = true end
wake_called(served)
local route = choose(ARGV[3], served, { images = images_of(job), tag = 0 })
if route then
  enter(route, job)
  call('HSET', job_key(ARGV[1]), 'via2', route)
end
flush()
return route or ''
