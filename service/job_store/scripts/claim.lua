-- Take up to ARGV[3] ready jobs under a lease. Idempotent: a repeat with the same worker and sequence gets the same jobs.
-- ARGV 1 worker, 2 sequence, 3 want, 4 lease ms, 5 stale ms, 6 slots of the worker, 7 room for batch jobs,
--      8 interruptions that park a job, 9 retention ms, 10 providers served, 11 highest version of a record that it can read,
--      12.. jobs held with at least 1, 2, .. interruptions
-- Returns ms until the next entry falls due (-1: none), whether ready work is left (0|1), then per job:
--   id, fence, request, attempts so far, interruptions, priority, account, whether it is ephemeral (0|1), upstream tasks,
--   route, routes left (each '' where there is none), attempts so far that may have been billed, what its key wants done where
--   nobody knows whether it was bought ('': retry), whether that is so of the claim before (0|1, only where it wants another)
local worker, sequence, want, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local slots, batch_room, park_after = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local receipt = 'darkroom:claimed:' .. worker
local taken, noted = { -1, 0 }, { sequence }
local WINDOW, SUSPECTS_PASSED, PARK_AFTER_MS, MOST_BACK = 500, 100, 1800000, 50
local lease_end, version = whole(now + lease), tonumber(ARGV[11])

-- `job` was read with these behind the usual fields.
local ROUTES, REQUEST, TASKS, COSTLY, POLICY, VERSION = ALSO + 1, ALSO + 2, ALSO + 3, ALSO + 4, ALSO + 5, ALSO + 6
local function open(id) return read(id, 'most_running', 'routes', 'request', 'tasks', 'costly', 'on_ambiguous', 'v') end
local served = {}
for name in string.gmatch(ARGV[10], '%S+') do served[name] = true end

-- Whether the claim before this one ended without a word of what it came to: its worker died, or gave the job back unfinished.
local function is_in_doubt(id, fence, policy)
  if not policy or fence < 2 then return 0 end
  local before = call('HGET', job_key(id), 'attempt:' .. fence - 1)
  return before and string.find(before, '"outcome":"failed"', 1, true) and 0 or 1
end

local function give(id, fence, job, interruptions, route)
  taken[#taken + 1] = { id, fence, job[REQUEST], tonumber(job[ATTEMPTS] or 0), interruptions, job[PRIORITY], job[ACCOUNT],
    job[SHOWN] and 1 or 0, job[TASKS] or '', route or '', job[ROUTES] or '', tonumber(job[COSTLY] or 0),
    job[POLICY] or '', is_in_doubt(id, fence, job[POLICY]) }
end

-- A repeat: the first answer was lost on its way.
local last = call('GET', receipt)
if last then
  local words = {}
  for word in string.gmatch(last, '%S+') do words[#words + 1] = word end
  if words[1] == sequence then
    for i = 2, #words, 2 do
      local job = open(words[i])
      if job and job[STATE] == 'running' and job[FENCE] == words[i + 1] then
        give(words[i], tonumber(job[FENCE]), job, tonumber(job[INTERRUPTIONS] or 0), job[VIA])
      end
    end
    return taken
  end
end

local grace = beat(tonumber(ARGV[5]), lease)

-- Set an entry aside; whoever waited for its permit may have it.
local function drop(from, id)
  local key_id = discard(from, id)
  if key_id then left[key_id] = true end
end

-- Passed clock values: a lapsed lease keeps its tag and is watched; a retry that falls due gets a fresh tag.
for _, id in ipairs(call('ZRANGEBYSCORE', queue, '(0', now_text, 'LIMIT', 0, WINDOW)) do
  local job = read(id)
  if not job then
    drop(queue, id)
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

-- Suspects are claimed first, the most suspected before all, each class within its share of the worker. Those of the
-- third class and above have a process of their own there each: four are many.
local held, limit = {}, {}
for k = 1, SUSPECT_LANES do
  held[k] = tonumber(ARGV[11 + k] or 0)
  limit[k] = math.max(1, math.floor(slots / 2 ^ k))
  if k >= 3 then limit[k] = math.min(limit[k], 4) end
end

local clock = virtual_clock()
local risen = clock

-- Its worker died, as so many before, and for so long: nobody saw that it was the job, but it may take a machine along.
local function is_poison(job, interruptions)
  return interruptions >= park_after and now - tonumber(job[STARTED] or now) >= PARK_AFTER_MS
end

-- Move one that is ready to where it waits for a permit; it keeps its tag, and nobody looks at it until one is free.
local function park(from, id, job, name)
  add(removed, from, id)
  add(scores, waiting(name), job[TAG], id)
  call('SADD', WAITS, name)
end

-- Records of a later version wait for a worker that can read them: this one, where its version has come that far. One that was
-- running when its worker died waits there as well: should that worker live, it renews it wherever it is.
local function is_unreadable(from, id, job)
  local needs = tonumber(job[VERSION] or 1) or 1
  if needs <= version then return false end
  park(from, id, job, 'version:' .. whole(needs))
  if job[STATE] == 'queued' then left[job[KEY_ID]] = true end -- another of its key may run meanwhile
  ring()
  return true
end
-- No more come back at a time than may soon be run: workers that cannot read the others would only move them here again.
for needs = 2, version do
  local from = waiting('version:' .. needs)
  local back = call('ZRANGE', from, 0, MOST_BACK - 1)
  if #back == MOST_BACK then ring() end
  for _, id in ipairs(back) do
    local job = read(id)
    if job then
      call('ZREM', from, id)
      call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0) + (job[STATE] == 'running' and 1 or 0)), job[TAG], id)
    else
      drop(from, id)
    end
  end
end

-- Who waits for a provider that takes calls again goes on. The next of those who do not may be due before anything else.
local soonest
local function may_be_due(at)
  if at and (not soonest or at < soonest) then soonest = at end
end
may_be_due(wake_called(served))
forget_expected()

local function wants_of(job) return { images = images_of(job), tag = tonumber(job[TAG]) } end

-- The route of an attempt that begins; else nil, and the lane to wait in until when. Where there is nobody to wait for both are
-- nil: then this worker says so.
local function route_for(job)
  if not job[ROUTES] then return nil end
  local route, name, at = way(job[ROUTES], job[TASKS], served, wants_of(job))
  return route, name and lane_of(name, job[ACCOUNT]), at
end

-- The route with which a job whose worker died goes on: its own, or where nobody serves that any more, another. Nil and true:
-- it is somebody else's to take.
local function route_after(job)
  local name = job[VIA] and provider_of(job[VIA])
  if not name or served[name] then return job[VIA] end
  if gate(name).served then return nil, true end
  return choose(job[ROUTES] or '', served, wants_of(job))
end

-- Lease one entry of a lane; false when it was none that can run.
local function take(from, id)
  local job = open(id)
  if not job then drop(from, id) return false end
  if job[STATE] ~= 'queued' and job[STATE] ~= 'running' then call('ZREM', from, id) return false end
  if job[DEADLINE] and not job[STARTED] and tonumber(job[DEADLINE]) < now then
    finish(id, job, 'expired', 0, ARGV[9])
    return false
  end
  if is_unreadable(from, id, job) then return false end
  local route, elsewhere, at
  if job[STATE] == 'running' then
    route, elsewhere = route_after(job)
    if elsewhere then return false end
  else
    if not may_run(job) then park(from, id, job, permit_of(job[KEY_ID])) return false end
    route, elsewhere, at = route_for(job)
    if elsewhere then
      may_be_due(at)
      park(from, id, job, elsewhere)
      if job[ALSO] then left[job[KEY_ID]] = true end -- another of its key may run meanwhile
      return false
    end
    count(use(job[KEY_ID]), 'running', 1)
  end
  local key, fence, interruptions = job_key(id), tonumber(job[FENCE]) + 1, tonumber(job[INTERRUPTIONS] or 0)
  if job[STATE] == 'running' then
    interruptions = interruptions + 1
    call('HSET', key, 'interruptions', interruptions, 'attempt:' .. job[FENCE],
      '{"outcome":"interrupted","started_ms":' .. (call('HGET', key, 'claimed_ms') or now_text) .. '}')
    if is_poison(job, interruptions) then
      finish(id, job, 'failed', 0, ARGV[9], 'error',
        '{"code":"poison","message":"Each worker that ran this job died; it was parked."}')
      return false
    end
  end
  call('HSET', key, 'state', 'running', 'fence', fence, 'worker', worker, 'claimed_ms', now_text,
    'started_ms', job[STARTED] or now_text)
  if job[VIA2] then
    leave_route(job, job[VIA2])
    call('HDEL', key, 'via2')
  end
  if (route or false) ~= job[VIA] then
    if job[VIA] then leave_route(job, job[VIA]) end
    if route then enter(route, job) call('HSET', key, 'via', route) else call('HDEL', key, 'via') end
  end
  if job[DEADLINE] and not job[STARTED] then add(removed, 'darkroom:deadlines', id) end
  if from ~= queue then add(removed, from, id) end
  add(scores, queue, lease_end, id)
  tell_of_job(id, job, 'running')
  risen = math.max(risen, tonumber(job[TAG]))
  noted[#noted + 1] = id
  noted[#noted + 1] = fence
  give(id, fence, job, interruptions, route)
  return true
end

local function room(k)
  local free = want - (#taken - 2)
  for j = 1, k do free = math.min(free, limit[j] - held[j]) end
  return free
end

for k = SUSPECT_LANES, 1, -1 do
  if room(k) > 0 then
    for _, id in ipairs(call('ZRANGE', suspects(k), 0, room(k) + SUSPECTS_PASSED - 1)) do
      if room(k) <= 0 then break end
      if take(suspects(k), id) then
        for j = 1, k do held[j] = held[j] + 1 end
      end
    end
  end
end

-- Returns what gives the ready entries of a lane and their tags, lowest first; fetched `at_once` and then by the hundred.
-- What is taken stays in its lane until `flush`, so the offset only grows.
local function ready(from, at_once)
  local chunk, at, offset, size = {}, -1, 0, at_once
  return function()
    at = at + 2
    if not chunk[at] and size > 0 then
      chunk, at = call('ZRANGEBYSCORE', from, '-inf', '(0', 'WITHSCORES', 'LIMIT', offset, size), 1
      offset, size = offset + size, #chunk < 2 * size and 0 or 100
    end
    return chunk[at], tonumber(chunk[at + 1])
  end
end

-- Then the two lanes of the rest, by tag. Entries that cannot run are stepped over, but not without end.
local free = want - (#taken - 2)
local for_batch, passed = math.max(0, math.min(free, batch_room)), 0
local next_first, next_batch = ready(queue, math.max(0, free)), ready(BATCH, for_batch)
local first, first_tag, batch, batch_tag
while free > 0 and passed < WINDOW do
  if not first then first, first_tag = next_first() end
  if not batch and for_batch > 0 then batch, batch_tag = next_batch() end
  local from_batch = batch and for_batch > 0 and not (first and first_tag <= batch_tag)
  if not (first or from_batch) then break end
  local taken_one = take(from_batch and BATCH or queue, from_batch and batch or first)
  if taken_one then free = free - 1 else passed = passed + 1 end
  if taken_one and from_batch then for_batch = for_batch - 1 end
  if from_batch then batch = nil else first = nil end
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

local is_left = anything_ready()
if is_left then taken[2] = 1 end
if #taken > 2 then
  call('SET', receipt, table.concat(noted, ' '), 'PX', whole(lease * 4))
end
-- What is left behind is somebody else's (decisions.md 9).
if is_left and (#taken > 2 or passed >= WINDOW) then ring() end
local next = call('ZRANGEBYSCORE', queue, '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
may_be_due(tonumber(next[2]))
if soonest then taken[1] = math.max(0, math.ceil(soonest - now)) end
return taken
