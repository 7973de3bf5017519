-- Take up to ARGV[3] ready jobs under a lease. Idempotent: a repeat with the same worker and sequence gets the same jobs.
-- ARGV 1 worker, 2 sequence, 3 want, 4 lease ms, 5 stale ms, 6 slots of the worker, 7 room for batch jobs,
--      8 interruptions that park a job, 9 retention ms, 10.. jobs held with at least 1, 2, .. interruptions
-- Returns ms until the next entry falls due (-1: none), whether ready work is left (0|1), then per job:
--   id, fence, request, attempts so far, interruptions, priority, account
local worker, sequence, want, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local slots, batch_room, park_after = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local receipt = 'darkroom:claimed:' .. worker
local taken, noted = { -1, 0 }, { sequence }
local WINDOW = 500
local REQUEST, CLAIMED = NOTIFY + 1, NOTIFY + 2
local lease_end = whole(now + lease)

local function give(id, fence, job, interruptions)
  taken[#taken + 1] = { id, fence, job[REQUEST], tonumber(job[ATTEMPTS] or 0), interruptions, job[PRIORITY], job[ACCOUNT] }
end

-- A repeat: the first answer was lost on its way.
local last = call('GET', receipt)
if last then
  local words = {}
  for word in string.gmatch(last, '%S+') do words[#words + 1] = word end
  if words[1] == sequence then
    for i = 2, #words, 2 do
      local job = read(words[i], 'request')
      if job and job[STATE] == 'running' and job[FENCE] == words[i + 1] then
        give(words[i], tonumber(job[FENCE]), job, tonumber(job[INTERRUPTIONS] or 0))
      end
    end
    return taken
  end
end

local grace = beat(tonumber(ARGV[5]), lease)

-- An entry without a record, or with one that is none, is set aside and reported.
local function discard(from, id)
  call('ZREM', from, id)
  call('ZADD', queue .. ':broken', now_text, id)
  if call('EXISTS', job_key(id)) == 1 then count(queue, -1) end
end

-- Passed clock values: a lapsed lease keeps its tag and is watched; a retry that falls due gets a fresh tag.
for _, id in ipairs(call('ZRANGEBYSCORE', queue, '(0', now_text, 'LIMIT', 0, WINDOW)) do
  local job = read(id)
  if not job then
    discard(queue, id)
  elseif job[STATE] == 'queued' then
    local tag = whole(next_tag(flow_key(job[ACCOUNT], job[PRIORITY], 'retry'), tonumber(job[COST])))
    call('ZREM', queue, id)
    call('HSET', job_key(id), 'tag', tag)
    call('HDEL', job_key(id), 'due_ms')
    call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), tag, id)
  elseif job[STATE] ~= 'running' then
    call('ZREM', queue, id)
  elseif now >= grace then
    call('ZREM', queue, id)
    call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0) + 1), job[TAG], id)
  end
end

-- Suspects are claimed first, the most suspected before all, each class within its share of the worker.
local held, limit = {}, {}
for k = 1, SUSPECT_LANES do
  held[k] = tonumber(ARGV[9 + k] or 0)
  limit[k] = math.max(1, math.floor(slots / 4 ^ k))
end

local clock = virtual_clock()
local risen = clock

-- Its worker died. True when it died alone in its class: were it innocent, somebody else would have died.
local function is_poison(interruptions)
  local class = math.min(interruptions - 1, SUSPECT_LANES)
  return interruptions >= park_after and class > 0 and limit[class] == 1
end

-- Lease one entry of a lane; false when it was none that can run.
local function take(from, id)
  local job = read(id, 'request', 'claimed_ms')
  if not job then discard(from, id) return false end
  if job[STATE] ~= 'queued' and job[STATE] ~= 'running' then call('ZREM', from, id) return false end
  if job[DEADLINE] and not job[STARTED] and tonumber(job[DEADLINE]) < now then
    finish(id, job, 'expired', 0, ARGV[9])
    return false
  end
  local key, fence, interruptions = job_key(id), tonumber(job[FENCE]) + 1, tonumber(job[INTERRUPTIONS] or 0)
  if job[STATE] == 'running' then
    interruptions = interruptions + 1
    call('HSET', key, 'interruptions', interruptions, 'attempt:' .. job[FENCE],
      '{"outcome":"interrupted","started_ms":' .. (job[CLAIMED] or now_text) .. '}')
    if is_poison(interruptions) then
      finish(id, job, 'failed', 0, ARGV[9], 'error',
        '{"code":"poison","message":"Each worker that ran this job died; it was parked."}')
      return false
    end
  end
  call('HSET', key, 'state', 'running', 'fence', fence, 'worker', worker, 'claimed_ms', now_text,
    'started_ms', job[STARTED] or now_text)
  if job[DEADLINE] and not job[STARTED] then add(removed, 'darkroom:deadlines', id) end
  if from ~= queue then add(removed, from, id) end
  add(scores, queue, lease_end, id)
  tell(job[ACCOUNT], id, 'running')
  risen = math.max(risen, tonumber(job[TAG]))
  noted[#noted + 1] = id
  noted[#noted + 1] = fence
  give(id, fence, job, interruptions)
  return true
end

local function room(k)
  local free = want - (#taken - 2)
  for j = 1, k do free = math.min(free, limit[j] - held[j]) end
  return free
end

for k = SUSPECT_LANES, 1, -1 do
  if room(k) > 0 then
    for _, id in ipairs(call('ZRANGE', suspects(k), 0, room(k) - 1)) do
      if take(suspects(k), id) then
        for j = 1, k do held[j] = held[j] + 1 end
      end
    end
  end
end

-- Then the two lanes of the rest, by tag.
local free = want - (#taken - 2)
local first = free > 0 and call('ZRANGEBYSCORE', queue, '-inf', '(0', 'WITHSCORES', 'LIMIT', 0, free) or {}
local batch = math.min(free, batch_room) > 0 and call('ZRANGE', BATCH, 0, math.min(free, batch_room) - 1, 'WITHSCORES') or {}
local i, j = 1, 1
while free > 0 and (first[i] or batch[j]) do
  if first[i] and (not batch[j] or tonumber(first[i + 1]) <= tonumber(batch[j + 1])) then
    if take(queue, first[i]) then free = free - 1 end
    i = i + 2
  else
    if take(BATCH, batch[j]) then free = free - 1 end
    j = j + 2
  end
end

flush()
if risen > clock then call('SET', queue .. ':clock', whole(risen)) end

local function anything_ready()
  if call('ZCARD', BATCH) > 0 or call('ZRANGEBYSCORE', queue, '-inf', '(0', 'LIMIT', 0, 1)[1] then return true end
  for k = 1, SUSPECT_LANES do
    if call('ZCARD', suspects(k)) > 0 then return true end
  end
  return false
end

local left = anything_ready()
if left then taken[2] = 1 end
if #taken > 2 then
  call('SET', receipt, table.concat(noted, ' '), 'PX', whole(lease * 4))
  if left then ring() end -- what is left behind is somebody else's (decisions.md 9)
end
local next = call('ZRANGEBYSCORE', queue, '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if next[2] then taken[1] = math.max(0, tonumber(next[2]) - now) end
return taken
