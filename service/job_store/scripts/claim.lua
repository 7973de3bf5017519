-- Take up to ARGV[3] ready jobs under a lease. Idempotent: a repeat with the same worker and sequence gets the same jobs.
-- ARGV 1 worker, 2 sequence, 3 want, 4 lease ms, 5 stale ms, 6 slots of the worker, 7 room for batch jobs,
--      8 interruptions that park a job, 9 retention ms, 10.. jobs held with at least 1, 2, .. interruptions
-- Returns ms until the next entry falls due (-1: none), then per job:
--   id, fence, request, attempts so far, interruptions, priority, account
local worker, sequence, want, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local slots, batch_room, park_after = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local receipt = 'darkroom:claimed:' .. worker
local taken, noted = { -1 }, { sequence }
local WINDOW = 500

local function give(id, fence, job)
  taken[#taken + 1] = { id, fence, redis.call('HGET', job_key(id), 'request'), tonumber(job.attempts or 0), job.interruptions,
    job.priority, job.account }
end

-- A repeat: the first answer was lost on its way.
local last = redis.call('GET', receipt)
if last then
  local words = {}
  for word in string.gmatch(last, '%S+') do words[#words + 1] = word end
  if words[1] == sequence then
    for i = 2, #words, 2 do
      local job = read(words[i])
      if job and job.state == 'running' and job.fence == words[i + 1] then give(words[i], tonumber(job.fence), job) end
    end
    return taken
  end
end

-- Outage is not death (decisions.md 1): after silence the living get one lease length to renew before anything is taken over.
local pulse = tonumber(redis.call('GET', queue .. ':pulse') or now)
local grace = tonumber(redis.call('GET', queue .. ':grace') or 0)
if now - pulse > tonumber(ARGV[5]) then
  grace = now + lease
  redis.call('SET', queue .. ':grace', whole(grace), 'PX', whole(lease))
end
redis.call('SET', queue .. ':pulse', whole(now))

local function discard(id)
  drop(id)
  redis.call('ZADD', queue .. ':broken', whole(now), id)
end

-- Passed clock values: a lapsed lease keeps its tag and is watched; a retry that falls due gets a fresh tag.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '(0', whole(now), 'LIMIT', 0, WINDOW)) do
  local job = read(id)
  if not job then
    discard(id)
  elseif job.state == 'queued' then
    local tag = next_tag(flow_key(job.account, job.priority, 'retry'), tonumber(job.cost))
    redis.call('ZREM', queue, id)
    redis.call('HSET', job_key(id), 'tag', whole(tag))
    redis.call('HDEL', job_key(id), 'due_ms')
    redis.call('ZADD', lane(job.priority, job.interruptions), whole(tag), id)
  elseif job.state ~= 'running' then
    redis.call('ZREM', queue, id)
  elseif now >= grace then
    redis.call('ZREM', queue, id)
    redis.call('ZADD', lane(job.priority, job.interruptions + 1), job.tag, id)
  end
end

local clock = virtual_clock()
local risen = clock

-- Suspects are claimed first, the most suspected before all, each class within its share of the worker.
local held, limit = {}, {}
for k = 1, SUSPECT_LANES do
  held[k] = tonumber(ARGV[9 + k] or 0)
  limit[k] = math.max(1, math.floor(slots / 4 ^ k))
end

-- Lease one entry; false when it was none that can run.
local function take(id)
  local job = read(id)
  if not job then discard(id) return false end
  if job.state ~= 'queued' and job.state ~= 'running' then drop(id) return false end
  if job.deadline_ms and not job.started_ms and tonumber(job.deadline_ms) < now then
    finish(id, job, 'expired', 0, ARGV[9], {})
    return false
  end
  local key = job_key(id)
  drop(id)
  if job.state == 'running' then
    local class = math.min(job.interruptions, SUSPECT_LANES)
    job.interruptions = job.interruptions + 1
    redis.call('HSET', key, 'interruptions', job.interruptions, 'attempt:' .. job.fence,
      '{"outcome":"interrupted","started_ms":' .. redis.call('HGET', key, 'claimed_ms') .. '}')
    -- It died alone in its class: were it innocent, somebody else would have died.
    if job.interruptions >= park_after and class > 0 and limit[class] == 1 then
      finish(id, job, 'failed', 0, ARGV[9], { 'error', '{"code":"poison","message":"Each worker that ran this job died; it was parked."}' })
      return false
    end
  end
  local fence = tonumber(job.fence) + 1
  redis.call('HSET', key, 'state', 'running', 'fence', fence, 'worker', worker, 'claimed_ms', whole(now))
  if not job.started_ms then
    redis.call('HSET', key, 'started_ms', whole(now))
    if job.deadline_ms then redis.call('ZREM', 'darkroom:deadlines', id) end
  end
  redis.call('ZADD', queue, whole(now + lease), id)
  tell(job.account, id, 'running')
  risen = math.max(risen, tonumber(job.tag))
  noted[#noted + 1] = id
  noted[#noted + 1] = fence
  give(id, fence, job)
  return true
end

local function room(k)
  local free = want - (#taken - 1)
  for j = 1, k do free = math.min(free, limit[j] - held[j]) end
  return free
end

for k = SUSPECT_LANES, 1, -1 do
  if room(k) > 0 then
    for _, id in ipairs(redis.call('ZRANGE', suspects(k), 0, room(k) - 1)) do
      if take(id) then
        for j = 1, k do held[j] = held[j] + 1 end
      end
    end
  end
end

-- Then the two lanes of the rest, by tag.
local free = want - (#taken - 1)
local first = free > 0 and redis.call('ZRANGEBYSCORE', queue, '-inf', '(0', 'WITHSCORES', 'LIMIT', 0, free) or {}
local batch = math.min(free, batch_room) > 0 and redis.call('ZRANGE', BATCH, 0, math.min(free, batch_room) - 1, 'WITHSCORES') or {}
local i, j = 1, 1
while free > 0 and (first[i] or batch[j]) do
  local from_first = first[i] and (not batch[j] or tonumber(first[i + 1]) <= tonumber(batch[j + 1]))
  local id = from_first and first[i] or batch[j]
  if from_first then i = i + 2 else j = j + 2 end
  if take(id) then free = free - 1 end
end

if risen > clock then redis.call('SET', queue .. ':clock', whole(risen)) end
if #taken > 1 then
  redis.call('SET', receipt, table.concat(noted, ' '), 'PX', whole(lease * 4))
  -- What is left behind is somebody else's: ring on (decisions.md 9).
  local left = redis.call('ZRANGEBYSCORE', queue, '-inf', '(0', 'LIMIT', 0, 1)
  if left[1] or redis.call('ZCARD', BATCH) > 0 then ring() end
end
local next = redis.call('ZRANGEBYSCORE', queue, '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if next[2] then taken[1] = math.max(0, tonumber(next[2]) - now) end
return taken
