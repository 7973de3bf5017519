-- Stands before every script. KEYS[1] is the queue; its lanes are named after it (see keys.py).
-- Every script reads and checks an item whole before it first writes for it: Lua does not roll back.
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

-- The fields every step decides on (and `more` behind them); nil when there is no such record.
local function read(id, ...)
  local job = call('HMGET', job_key(id), 'state', 'account', 'key_id', 'priority', 'cost', 'tag', 'fence', 'interruptions',
    'attempts', 'units', 'period', 'deadline_ms', 'started_ms', 'due_ms', 'notify', ...)
  return job[STATE] and job or nil
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

local function flush()
  for key, ids in pairs(removed) do
    if call('ZREM', key, unpack(ids)) < #ids and key == queue then
      -- Not all were there: they wait in other lanes.
      call('ZREM', BATCH, unpack(ids))
      for k = 1, SUSPECT_LANES do call('ZREM', suspects(k), unpack(ids)) end
    end
  end
  for key, list in pairs(scores) do call('ZADD', key, unpack(list)) end
  for key, amount in pairs(counts) do
    if key == queue then call('INCRBY', queue .. ':open', whole(amount)) else call('HINCRBY', use_key(key), 'open', whole(amount)) end
  end
  for _, change in ipairs(units) do call('HINCRBY', use_key(change[1]), change[2], whole(change[3])) end
  for flow, tag in pairs(tags) do call('SET', flow, whole(tag), 'PX', FLOW_TTL_MS) end
  if #finals > 0 then call('PUBLISH', 'darkroom:finals', table.concat(finals, '\n')) end
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
