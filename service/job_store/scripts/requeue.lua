-- Give running jobs back. ARGV per job: id, fence, wait ms (-1: release, no attempt was made), attempt or '', whether its
-- upstream tasks go on (0|1), what the attempt says of its route, ms for which the provider takes no calls, routes left or '',
-- whether it may have been billed (0|1).
-- A released job keeps its tag; a retry waits out its time and then gets a fresh one.
-- Returns per job 1 given back, 0 refused. A repeat after a lost reply answers 1 again.
local answers, ready = {}, false
for at = 1, #ARGV, 9 do
  local id, fence, wait, attempt = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local job = read(id)
  if not job or job[FENCE] ~= fence then
    answers[#answers + 1] = 0
  elseif job[STATE] ~= 'running' then
    if attempt ~= '' then call('HSETNX', job_key(id), 'attempt:' .. fence, attempt) end
    answers[#answers + 1] = job[STATE] == 'queued' and 1 or 0
  else
    local key_id = job[KEY_ID]
    local key, to, score = job_key(id), lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG]
    call('HSET', key, 'state', 'queued')
    if wait >= 0 then
      call('HSET', key, 'attempts', tonumber(job[ATTEMPTS] or 0) + 1, 'attempt:' .. fence, attempt)
      if ARGV[at + 4] == '0' then call('HDEL', key, 'tasks') end
      if ARGV[at + 8] == '1' then call('HINCRBY', key, 'costly', 1) end
      if ARGV[at + 7] ~= '' then call('HSET', key, 'routes', ARGV[at + 7]) end
      if job[VIA] then
        report(job[VIA], ARGV[at + 5])
        local g, closed = gate(provider_of(job[VIA])), now + tonumber(ARGV[at + 6])
        if closed > math.max(now, g.closed) then g.closed, g.shut = closed, true end
      end
    end
    if wait > 0 then
      to, score = queue, whole(now + wait)
      call('HSET', key, 'due_ms', score)
    elseif wait == 0 then
      score = whole(next_tag(flow_key(job[ACCOUNT], job[PRIORITY], 'retry'), tonumber(job[COST])))
      call('HSET', key, 'tag', score)
    end
    count(use(key_id), 'running', -1)
    leave(job)
    call('HDEL', key, 'via', 'progress')
    left[key_id] = true
    add(removed, queue, id)
    add(scores, to, score, id)
    tell_of_job(id, job, 'queued')
    ready = ready or wait <= 0
    answers[#answers + 1] = 1
  end
end
flush()
if ready then ring() end
return answers
