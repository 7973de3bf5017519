-- Stands before every script. KEYS[1] is the queue; its lanes are named after it (see keys.py).
-- Every script reads and checks an item whole before it first writes for it: Lua does not roll back.
local queue = KEYS[1]
local BATCH = queue .. ':batch'
local FIRST_TAG = -4503599627370496 -- -2^52; tags rise from here and stay below 0
local SUSPECT_LANES = 5
local FLOW_TTL_MS = 7 * 86400 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number) return string.format('%.0f', number) end
local function job_key(id) return 'darkroom:job:' .. id end
local function use_key(key_id) return 'darkroom:use:' .. key_id end
local function suspects(k) return queue .. ':suspects:' .. k end

-- The lane a ready job waits in. Whoever died in company is watched (decisions.md 2); batch has slots of its own.
local function lane(priority, interruptions)
  if interruptions > 0 then return suspects(math.min(interruptions, SUSPECT_LANES)) end
  if priority == 'batch' then return BATCH end
  return queue
end

-- Take the entry out of whichever lane holds it.
local function drop(id)
  if redis.call('ZREM', queue, id) == 1 or redis.call('ZREM', BATCH, id) == 1 then return end
  for k = 1, SUSPECT_LANES do
    if redis.call('ZREM', suspects(k), id) == 1 then return end
  end
end

local function virtual_clock() return tonumber(redis.call('GET', queue .. ':clock') or FIRST_TAG) end

-- Start-time fair queueing: the next tag of a flow, which advances it by `cost`.
local function next_tag(flow, cost)
  local tag = math.max(virtual_clock(), tonumber(redis.call('GET', flow) or FIRST_TAG))
  redis.call('SET', flow, whole(tag + cost), 'PX', FLOW_TTL_MS)
  return tag
end

local function flow_key(account, priority, kind) return 'darkroom:flow:' .. kind .. ':' .. account .. ':' .. priority end

-- A job that leaves the queue unserved gives its cost back, never below the virtual clock.
local function refund(flow, cost)
  local at = tonumber(redis.call('GET', flow) or FIRST_TAG)
  local clock = virtual_clock()
  if at > clock then redis.call('SET', flow, whole(math.max(clock, at - cost)), 'PX', FLOW_TTL_MS) end
end

local function ring()
  if redis.call('LLEN', queue .. ':bell') < 8 then redis.call('LPUSH', queue .. ':bell', 1) end
end

local function tell(account, id, state)
  redis.call('XADD', 'darkroom:events:' .. account, 'MAXLEN', '~', 10000, '*', 'job', id, 'state', state)
end

-- The one way into a final state. `job` is a table of record fields read before; `fields` is a flat list to write with it.
local function finish(id, job, state, settled, retention_ms, fields)
  local key = job_key(id)
  redis.call('HSET', key, 'state', state, 'completed_ms', whole(now), 'expires_ms', whole(now + retention_ms), unpack(fields))
  drop(id)
  if job.deadline_ms then redis.call('ZREM', 'darkroom:deadlines', id) end
  if job.state == 'queued' and not job.started_ms then
    refund(flow_key(job.account, job.priority, 'new'), tonumber(job.cost))
  end
  local use = use_key(job.key_id)
  redis.call('HINCRBY', use, 'open', -1)
  redis.call('DECR', queue .. ':open')
  local units = tonumber(job.units or 0)
  if units > 0 then
    redis.call('HINCRBY', use, 'reserved', -units)
    if settled > 0 then redis.call('HINCRBY', use, 'used:' .. job.period, settled) end
  end
  redis.call('ZADD', 'darkroom:retention', whole(now + retention_ms), id)
  if job.notify then redis.call('ZADD', 'darkroom:outbox', whole(now), id) end
  tell(job.account, id, state)
  redis.call('PUBLISH', 'darkroom:finals', id .. ' ' .. state)
end

local FIELDS = { 'state', 'account', 'key_id', 'priority', 'cost', 'tag', 'fence', 'interruptions', 'attempts', 'units', 'period',
  'deadline_ms', 'started_ms', 'due_ms', 'notify' }

-- The fields every step decides on; nil when there is no such record.
local function read(id)
  local values = redis.call('HMGET', job_key(id), unpack(FIELDS))
  if not values[1] then return nil end
  local job = {}
  for i, name in ipairs(FIELDS) do
    if values[i] then job[name] = values[i] end
  end
  job.interruptions = tonumber(job.interruptions or 0)
  return job
end
