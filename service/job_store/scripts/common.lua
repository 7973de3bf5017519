-- Stands before every script. KEYS[1] is the queue; its lanes are named after it (see keys.py).
-- Every script reads and checks an item whole before it first writes for it, because Lua does not roll back: a record that is
-- none (torn by hand, or by a version to come) must not stop a batch half way.
-- What a batch has in common (entries, counters, tags, publishes) is gathered and written once, by `flush`.
local queue = KEYS[1]
local BATCH = queue .. ':batch'
local FIRST_TAG = -4503599627370496 -- -2^52; tags rise from here and stay below 0
local SUSPECT_LANES = 5
local FLOW_TTL_MS = '604800000'
local call = redis.call

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number) return string.format('%.0f', number) end
local now_text = whole(now)
local function job_key(id) return 'darkroom:job:' .. id end
local function use_key(key_id) return 'darkroom:use:' .. key_id end
local function suspects(k) return queue .. ':suspects:' .. k end

-- The lane a ready job waits in. Whoever died in company is watched (decisions.md 2); batch has slots of its own.
local function lane(priority, interruptions)
  if interruptions > 0 then return suspects(math.min(interruptions, SUSPECT_LANES)) end
  if priority == 'batch' then return BATCH end
  return queue
end

-- Positions of a record's fields in what `read` returns; an absent one is false.
local STATE, ACCOUNT, KEY_ID, PRIORITY, COST, TAG, FENCE, INTERRUPTIONS, ATTEMPTS, UNITS, PERIOD, DEADLINE, STARTED, DUE, NOTIFY =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

local PRIORITIES = { interactive = true, normal = true, batch = true }

-- Whether every field that a step counts with is there and can be counted with.
local function is_sound(job)
  if not (job[ACCOUNT] and job[KEY_ID] and PRIORITIES[job[PRIORITY]]) then return false end
  if not (tonumber(job[COST]) and tonumber(job[TAG]) and tonumber(job[FENCE])) then return false end
  if job[UNITS] and not (tonumber(job[UNITS]) and job[PERIOD]) then return false end
  return tonumber(job[INTERRUPTIONS] or 0) and tonumber(job[ATTEMPTS] or 0) and tonumber(job[DEADLINE] or 0) and true
end

-- The fields every step decides on, and those named behind them; nil when there is no such record, or none to work with.
local function read(id, ...)
  local job = redis.pcall('HMGET', job_key(id), 'state', 'account', 'key_id', 'priority', 'cost', 'tag', 'fence', 'interruptions',
    'attempts', 'units', 'period', 'deadline_ms', 'started_ms', 'due_ms', 'notify', ...)
  return not job.err and job[STATE] and is_sound(job) and job or nil
end

-- Gathered writes: {key = {member, score, ..}}, {key = amount}, ..
local scores, removed, counts, units, tags, finals = {}, {}, {}, {}, {}, {}

local function add(lists, key, ...)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  for i = 1, select('#', ...) do list[#list + 1] = (select(i, ...)) end
end

local function count(key, amount) counts[key] = (counts[key] or 0) + amount end

-- One command per thousand pairs: Lua passes no more than 8,000 values to a call.
local function in_parts(command, key, list)
  local done = 0
  for at = 1, #list, 2000 do done = done + call(command, key, unpack(list, at, math.min(at + 1999, #list))) end
  return done
end

local function flush()
  for key, ids in pairs(removed) do
    if in_parts('ZREM', key, ids) < #ids and key == queue then
      -- Not all were there: they wait in other lanes.
      in_parts('ZREM', BATCH, ids)
      for k = 1, SUSPECT_LANES do in_parts('ZREM', suspects(k), ids) end
    end
  end
  for key, list in pairs(scores) do in_parts('ZADD', key, list) end
  for key, amount in pairs(counts) do
    if key == queue then call('INCRBY', queue .. ':open', whole(amount)) else call('HINCRBY', use_key(key), 'open', whole(amount)) end
  end
  for _, change in ipairs(units) do call('HINCRBY', use_key(change[1]), change[2], whole(change[3])) end
  for flow, tag in pairs(tags) do call('SET', flow, whole(tag), 'PX', FLOW_TTL_MS) end
  if #finals > 0 then call('PUBLISH', 'darkroom:finals', table.concat(finals, '\n')) end
end

-- Outage is not death (decisions.md 1): after silence longer than `stale` the living get one lease length to renew before
-- anything is taken over, whoever of them speaks first. Returns until when nothing is.
local function beat(stale, lease)
  local pulse = tonumber(call('GET', queue .. ':pulse') or now)
  local grace = tonumber(call('GET', queue .. ':grace') or 0)
  if now - pulse > stale then
    grace = now + lease
    call('SET', queue .. ':grace', whole(grace), 'PX', whole(lease))
  end
  call('SET', queue .. ':pulse', now_text)
  return grace
end

local clock_read
local function virtual_clock()
  clock_read = clock_read or tonumber(call('GET', queue .. ':clock') or FIRST_TAG)
  return clock_read
end

local function flow_key(account, priority, kind) return 'darkroom:flow:' .. kind .. ':' .. account .. ':' .. priority end
local function flow_at(flow) return tags[flow] or tonumber(call('GET', flow) or FIRST_TAG) end

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

local function ring()
  if call('LLEN', queue .. ':bell') < 8 then call('LPUSH', queue .. ':bell', 1) end
end

local function tell(account, id, state)
  call('XADD', 'darkroom:events:' .. account, 'MAXLEN', '~', '10000', '*', 'job', id, 'state', state)
end

-- The one way into a final state. `job` is what `read` returned; the rest are more fields to write.
local function finish(id, job, state, settled, retention_ms, ...)
  local expires = whole(now + retention_ms)
  call('HSET', job_key(id), 'state', state, 'completed_ms', now_text, 'expires_ms', expires, ...)
  add(removed, queue, id)
  if job[DEADLINE] then add(removed, 'darkroom:deadlines', id) end
  if job[STATE] == 'queued' and not job[STARTED] then
    refund(flow_key(job[ACCOUNT], job[PRIORITY], 'new'), tonumber(job[COST]))
  end
  count(job[KEY_ID], -1)
  count(queue, -1)
  if job[UNITS] then
    units[#units + 1] = { job[KEY_ID], 'reserved', -job[UNITS] }
    if settled > 0 then units[#units + 1] = { job[KEY_ID], 'used:' .. job[PERIOD], settled } end
  end
  add(scores, 'darkroom:retention', expires, id)
  if job[NOTIFY] then add(scores, 'darkroom:outbox', now_text, id) end
  tell(job[ACCOUNT], id, state)
  finals[#finals + 1] = id .. ' ' .. state
end
