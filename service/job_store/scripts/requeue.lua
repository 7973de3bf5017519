-- Give running jobs back. ARGV per job: id, fence, wait ms (-1: release, no attempt was made), attempt or '', whether its
-- upstream tasks go on (0|1), what the attempt says of its route (see `hear`), routes left or '',
-- whether it may have been billed (0|1), whether it is held until somebody releases it (0|1),
-- the attempt that was made beside it or '', what they cost (see `charge`).
-- A released job keeps its tag; a retry waits out its time and then gets a fresh one.
-- Returns per job 1 given back, 0 refused. A repeat after a lost reply answers 1 again.
local WIDTH = 11

-- It goes on when somebody says so, who is told unasked. The fence tells the times apart.
local function tell_of_hold(id, job)
  local fields, batch = { 'job', id, 'state', 'queued', 'held', '1' }, place_of(job)
  if batch then fields[7], fields[8] = 'batch', batch end
  tell(job[ACCOUNT], unpack(fields))
  announce(job[ACCOUNT], id, 'job.held', job_key(id), job[NOTIFY], job[FENCE])
end

local answers, ready = {}, false
local function give_back(at)
  local id, fence, wait, attempt = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local is_held = ARGV[at + 8] == '1'
  local job = read(id)
  if not job or job[FENCE] ~= fence then
    answers[#answers + 1] = 0
  elseif job[STATE] ~= 'running' then
    if attempt ~= '' and call('HSETNX', job_key(id), 'attempt:' .. fence, attempt) == 1 then charge(job, ARGV[at + 10]) end
    if ARGV[at + 9] ~= '' then call('HSETNX', job_key(id), 'hedge:' .. fence, ARGV[at + 9]) end
    answers[#answers + 1] = job[STATE] == 'queued' and 1 or 0
  else
    local key_id = job[KEY_ID]
    local key, to, score = job_key(id), lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG]
    call('HSET', key, 'state', 'queued')
    if wait >= 0 then
      call('HSET', key, 'attempts', tonumber(job[ATTEMPTS] or 0) + 1, 'attempt:' .. fence, attempt)
      if ARGV[at + 9] ~= '' then call('HSET', key, 'hedge:' .. fence, ARGV[at + 9]) end
      charge(job, ARGV[at + 10])
      if ARGV[at + 4] == '0' then call('HDEL', key, 'tasks') end
      if ARGV[at + 7] == '1' then call('HINCRBY', key, 'costly', 1) end
      if ARGV[at + 6] ~= '' then call('HSET', key, 'routes', ARGV[at + 6]) end
      if job[VIA] then hear(ARGV[at + 5]) end
    end
    if is_held then
      to = waiting(hold_of(key_id))
      call('HSET', key, 'held', '1')
      call('SADD', WAITS, hold_of(key_id))
      if job[DEADLINE] then add(scores, 'darkroom:deadlines', job[DEADLINE], id) end
    elseif wait > 0 then
      to, score = queue, whole(now + wait)
      call('HSET', key, 'due_ms', score)
    elseif wait == 0 then
      score = whole(next_tag(flow_key(job[ACCOUNT], job[PRIORITY], 'retry'), tonumber(job[COST])))
      call('HSET', key, 'tag', score)
    end
    count(use(key_id), 'running', -1)
    leave(job)
    call('HDEL', key, 'via', 'via2', 'progress')
    left[key_id] = true
    add(removed, queue, id)
    add(scores, to, score, id)
    if is_held then tell_of_hold(id, job) else tell_of_job(id, job, 'queued') end
    ready = ready or (wait <= 0 and not is_held)
    answers[#answers + 1] = 1
  end
end
for at = 1, #ARGV, WIDTH do each(give_back, at) end
flush()
if ready then ring() end
return answered(answers)
