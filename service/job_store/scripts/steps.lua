-- Moves that several scripts make: the tags, the end of a job.
local DELIVERED_MS = 600000 -- after that an ephemeral job counts as delivered

local clock_read
local function virtual_clock()
  clock_read = clock_read or tonumber(call('GET', queue .. ':clock') or FIRST_TAG) or FIRST_TAG
  return clock_read
end

-- Each batch has a flow of its own, so that those of one account progress together.
local function flow_key(account, priority, kind, batch)
  return 'darkroom:flow:' .. kind .. ':' .. account .. ':' .. priority .. (batch and ':' .. batch or '')
end
local function flow_at(flow)
  if tags[flow] then return tags[flow] end
  local seen = redis.pcall('GET', flow)
  return type(seen) == 'string' and tonumber(seen) or FIRST_TAG
end

-- Start-time fair queueing: the next tag of a flow, which advances it by `cost`.
local function next_tag(flow, cost)
  local tag = math.max(virtual_clock(), flow_at(flow))
  tags[flow] = tag + cost
  return tag
end

-- A job that leaves the queue unserved gives its cost back, never below the virtual clock.
local function refund(flow, cost)
  local at, clock = flow_at(flow), virtual_clock()
  if at > clock then tags[flow] = math.max(clock, at - cost) end
end

-- Say that a job is in another state now. Events of a job that are told to those who asked for them are `started`, when its
-- first attempt begins, and the end.
local function tell_of(account, id, state, batch)
  if batch then tell(account, 'job', id, 'state', state, 'batch', batch) else tell(account, 'job', id, 'state', state) end
end

local function tell_of_job(id, job, state)
  tell_of(job[ACCOUNT], id, state, (place_of(job)))
  local type = state
  if state == 'running' then type = not job[STARTED] and 'started' elseif state == 'queued' then type = false end
  if type then announce(job[ACCOUNT], id, 'job.' .. type, job_key(id), job[NOTIFY], '') end
end

-- Book what calls cost, failed ones too, as lines 'micros source': millionths of a dollar, and who says so.
local function charge(job, costs)
  local tally, sum = row(job[ACCOUNT], job[KEY_ID], job[CREATED]), 0
  for micros, source in string.gmatch(costs, '(%d+) (%S+)') do
    count(tally, 'cost_micros:' .. source, tonumber(micros))
    sum = sum + tonumber(micros)
  end
  local batch = place_of(job)
  if batch and sum > 0 then count(batch_sums(batch), 'cost_micros', sum) end
end

local expires

-- The one way into a final state. `job` is what `read` returned; the rest are more fields to write. Returns the ledger's row.
local function finish(id, job, state, settled, retention_ms, ...)
  local key_id = job[KEY_ID]
  expires = expires or whole(now + retention_ms)
  call('HSET', job_key(id), 'state', state, 'completed_ms', now_text, 'expires_ms', expires, ...)
  add(removed, queue, id)
  if job[DEADLINE] then add(removed, 'darkroom:deadlines', id) end
  if job[STATE] == 'queued' and not job[STARTED] then
    refund(flow_key(job[ACCOUNT], job[PRIORITY], 'new', (place_of(job))), tonumber(job[COST]))
  end
  local sums, tally = use(key_id), row(job[ACCOUNT], key_id, job[CREATED])
  opened = opened - 1
  count(sums, 'open', -1)
  if job[STATE] == 'running' then
    count(sums, 'running', -1)
    leave(job)
  end
  left[key_id] = true
  count(tally, state, 1)
  if job[UNITS] then
    count(sums, 'reserved', -job[UNITS])
    if settled > 0 then count(tally, 'units', settled) end -- and `flush` charges the month
  end
  if job[SHOWN] then
    call('HSET', job_key(id), 'request', job[SHOWN], 'shown', '')
    add(scores, EPHEMERAL, whole(now + DELIVERED_MS), id)
  end
  add(scores, 'darkroom:retention', expires, id)
  local batch, line = place_of(job)
  if batch then
    local ran = state == 'succeeded' or state == 'failed'
    end_line(batch, line, state, ran and now - tonumber(job[CREATED]))
  end
  tell_of_job(id, job, state)
  finals[#finals + 1] = id .. ' ' .. state
  return tally
end

