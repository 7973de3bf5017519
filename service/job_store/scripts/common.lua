-- Stands before every script. KEYS[1] is the queue; its lanes are named after it (see keys.py).
-- Every script reads and checks an item whole before it first writes for it, because Lua does not roll back: a record that is
-- none (torn by hand, or by a version to come) must not stop a batch half way.
-- What a batch has in common (entries, counters, tags, publishes) is gathered and written once, by `flush`.
local queue = KEYS[1]
local BATCH = queue .. ':batch'
local FIRST_TAG = -4503599627370496 -- -2^52; tags rise from here and stay below 0
local SUSPECT_LANES = 5
local FLOW_TTL_MS, LEDGER_TTL_MS, POPULAR_TTL_MS = '604800000', '34560000000', '3024000000' -- 7, 400 and 35 days
local EPHEMERAL = 'darkroom:ephemeral'
local DELIVERED_MS = 600000 -- after that an ephemeral job counts as delivered
local MOST_WOKEN = 500
local call = redis.call

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number) return string.format('%.0f', number) end
local now_text = whole(now)
local function job_key(id) return 'darkroom:job:' .. id end
local function use_key(key_id) return 'darkroom:use:' .. key_id end
local function suspects(k) return queue .. ':suspects:' .. k end
local function waiting(name) return queue .. ':wait:' .. name end
local WAITS = queue .. ':waits'
local function permit_of(key_id) return 'key:' .. key_id end

-- The lane a ready job waits in. Whoever died in company is watched (decisions.md 2); batch has slots of its own.
local function lane(priority, interruptions)
  if interruptions > 0 then return suspects(math.min(interruptions, SUSPECT_LANES)) end
  if priority == 'batch' then return BATCH end
  return queue
end

-- Positions of a record's fields in what `read` returns; an absent one is false.
local STATE, ACCOUNT, KEY_ID, PRIORITY, COST, TAG, FENCE, INTERRUPTIONS, ATTEMPTS, UNITS, CREATED, DEADLINE, STARTED, NOTIFY,
  SHOWN = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
local ALSO = 16 -- the first of those that a script reads besides

local PRIORITIES = { interactive = true, normal = true, batch = true }

-- Whether every field that a step counts with is there and can be counted with.
local function is_sound(job)
  if not (job[ACCOUNT] and job[KEY_ID] and PRIORITIES[job[PRIORITY]]) then return false end
  if not (tonumber(job[COST]) and tonumber(job[TAG]) and tonumber(job[FENCE]) and tonumber(job[CREATED])) then return false end
  if not (tonumber(job[UNITS] or 0) and tonumber(job[INTERRUPTIONS] or 0)) then return false end
  return tonumber(job[ATTEMPTS] or 0) and tonumber(job[DEADLINE] or 0) and true
end

-- The fields every step decides on, and those named behind them; nil when there is no such record, or none to work with.
local function read(id, ...)
  local job = redis.pcall('HMGET', job_key(id), 'state', 'account', 'key_id', 'priority', 'cost', 'tag', 'fence', 'interruptions',
    'attempts', 'units', 'created_ms', 'deadline_ms', 'started_ms', 'notify', 'shown', ...)
  return not job.err and job[STATE] and is_sound(job) and job or nil
end

-- The day (UTC) of a moment, as YYYY-MM-DD; the count begins in March, so that a leap day ends a year.
local DAY_MS = 86400000
local function day_of(ms)
  local since = math.floor(ms / DAY_MS) + 719468
  local era = math.floor(since / 146097)
  local of_era = since - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  return string.format('%04d-%02d-%02d', year + era * 400 + (month <= 2 and 1 or 0), month, day)
end

-- The field of what is charged in that month.
local function used_in(ms) return 'used:' .. string.sub(day_of(ms), 1, 7) end

-- Gathered writes: {key = {member, score, ..}}, {key id = {field = amount}}, {account = {day = {key id = {field = amount}}}}, ..
-- `left` names the API keys one of whose jobs went its way: another may run instead.
local scores, removed, uses, ledger, drawn, tags, finals, left = {}, {}, {}, {}, {}, {}, {}, {}
local opened = 0

local function sub(lists, key)
  local inner = lists[key]
  if not inner then
    inner = {}
    lists[key] = inner
  end
  return inner
end

local function add(lists, key, ...)
  local list = sub(lists, key)
  for i = 1, select('#', ...) do list[#list + 1] = (select(i, ...)) end
end

local function count(sums, field, amount) sums[field] = (sums[field] or 0) + amount end

-- What changes of an API key's numbers: open, running, reserved, used:{YYYY-MM}.
local function use(key_id) return sub(uses, key_id) end

-- A row of the ledger, of the day on which the job was submitted, whenever it ends. So each row adds up, and those of a month
-- are what the quota was charged.
local function row(account, key_id, created_ms)
  return sub(sub(sub(ledger, account), math.floor(created_ms / DAY_MS)), key_id)
end

-- One command per thousand pairs: Lua passes no more than 8,000 values to a call.
local function in_parts(command, key, list)
  local done = 0
  for at = 1, #list, 2000 do done = done + call(command, key, unpack(list, at, math.min(at + 1999, #list))) end
  return done
end

-- Take entries out of whichever lane beside the queue they wait in.
local function leave_lanes(ids, missing)
  missing = missing - in_parts('ZREM', BATCH, ids)
  for k = 1, SUSPECT_LANES do
    if missing > 0 then missing = missing - in_parts('ZREM', suspects(k), ids) end
  end
  if missing == 0 then return end
  for _, name in ipairs(call('SMEMBERS', WAITS)) do
    if missing > 0 then missing = missing - in_parts('ZREM', waiting(name), ids) end
  end
end

local function add_up(key, prefix, sums)
  for field, amount in pairs(sums) do
    if amount ~= 0 then call('HINCRBY', key, prefix .. field, whole(amount)) end
  end
end

local function ring()
  if call('LLEN', queue .. ':bell') < 8 then call('LPUSH', queue .. ':bell', 1) end
end

-- Whether one more job of its key may run; `job` was read with 'most_running' first.
local running = {}
local function may_run(job)
  local most, key_id = tonumber(job[ALSO]), job[KEY_ID]
  if not most then return true end
  running[key_id] = running[key_id] or tonumber(call('HGET', use_key(key_id), 'running') or 0)
  return running[key_id] + (use(key_id).running or 0) < most
end

-- Let those who wait for a permit go back to their lanes, lowest tag first, as many as there are permits. Who is back holds
-- none yet: one too many is sent here again by the claim.
local function wake(name, may)
  local lane_of, woken = waiting(name), 0
  local id = call('ZRANGE', lane_of, 0, 0)[1]
  while id and woken < MOST_WOKEN do
    local job = read(id, 'most_running')
    if not job then
      call('ZADD', queue .. ':broken', now_text, id)
    elseif not may(job) then
      break
    else
      call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG], id)
      count(running, job[KEY_ID], 1)
      woken = woken + 1
    end
    call('ZREM', lane_of, id)
    id = call('ZRANGE', lane_of, 0, 0)[1]
  end
  if woken > 0 then ring() end
end

local function flush()
  for key, ids in pairs(removed) do
    local missing = #ids - in_parts('ZREM', key, ids)
    if missing > 0 and key == queue then leave_lanes(ids, missing) end
  end
  for key, list in pairs(scores) do in_parts('ZADD', key, list) end
  if opened ~= 0 then call('INCRBY', queue .. ':open', whole(opened)) end
  for account, rows_of in pairs(ledger) do
    for day, rows in pairs(rows_of) do
      local key = 'darkroom:usage:' .. account .. ':' .. day_of(day * DAY_MS)
      for key_id, sums in pairs(rows) do
        add_up(key, key_id .. ':', sums)
        if sums.units then count(use(key_id), used_in(day * DAY_MS), sums.units) end
      end
      call('PEXPIRE', key, LEDGER_TTL_MS)
    end
  end
  for key_id, sums in pairs(uses) do add_up(use_key(key_id), '', sums) end
  if next(drawn) then
    local today = 'darkroom:popular:' .. day_of(now)
    for model, images in pairs(drawn) do call('ZINCRBY', today, whole(images), model) end
    call('PEXPIRE', today, POPULAR_TTL_MS)
  end
  for flow, tag in pairs(tags) do call('SET', flow, whole(tag), 'PX', FLOW_TTL_MS) end
  if #finals > 0 then call('PUBLISH', 'darkroom:finals', table.concat(finals, '\n')) end
  uses, running = {}, {}
  for key_id in pairs(left) do wake(permit_of(key_id), may_run) end
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

local function tell(account, id, state)
  call('XADD', 'darkroom:events:' .. account, 'MAXLEN', '~', '10000', '*', 'job', id, 'state', state)
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
    refund(flow_key(job[ACCOUNT], job[PRIORITY], 'new'), tonumber(job[COST]))
  end
  local sums, tally = use(key_id), row(job[ACCOUNT], key_id, job[CREATED])
  opened = opened - 1
  count(sums, 'open', -1)
  if job[STATE] == 'running' then count(sums, 'running', -1) end
  left[key_id] = true
  count(tally, state, 1)
  if job[UNITS] then
    count(sums, 'reserved', -job[UNITS])
    if settled > 0 then
      count(tally, 'units', settled) -- and `flush` charges them to the month
    end
  end
  if job[SHOWN] then
    call('HSET', job_key(id), 'request', job[SHOWN], 'shown', '')
    add(scores, EPHEMERAL, whole(now + DELIVERED_MS), id)
  end
  add(scores, 'darkroom:retention', expires, id)
  if job[NOTIFY] then add(scores, 'darkroom:outbox', now_text, id) end
  tell(job[ACCOUNT], id, state)
  finals[#finals + 1] = id .. ' ' .. state
  return tally
end
