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
  SHOWN, VIA = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
local ALSO = 17 -- the first of those that a script reads besides

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
    'attempts', 'units', 'created_ms', 'deadline_ms', 'started_ms', 'notify', 'shown', 'via', ...)
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
local gates, healths, freed = {}, {}, {}
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

-- A provider's gate: how many calls are under way over the whole fleet, and from when on it takes another.
local function gate_key(name) return 'darkroom:gate:' .. name end
local function provider_of(route) return string.match(route, '^[^/]+') end

-- Workers say every few seconds whom they can call; who was not named lately is nobody to wait for.
local SERVED_MS = 60000

local function gate(name)
  if not gates[name] then
    local seen = call('HMGET', gate_key(name), 'running', 'most', 'per_minute', 'closed_ms', 'next_ms', 'seen_ms')
    gates[name] = { running = tonumber(seen[1] or 0), most = tonumber(seen[2]), per_minute = tonumber(seen[3]),
      closed = tonumber(seen[4] or 0), next = tonumber(seen[5] or 0), change = 0, woken = 0,
      served = now - tonumber(seen[6] or 0) < SERVED_MS }
  end
  return gates[name]
end

-- From when on it takes one more call; nil: when one that is under way has ended. Calls per minute are spread over it (GCRA),
-- but for a tenth of them at once.
local function opens(g)
  if g.most and g.running + g.change + g.woken >= g.most then return nil end
  if not g.per_minute then return g.closed end
  local step, at_once = 60000 / g.per_minute, math.max(1, math.floor(g.per_minute / 10))
  return math.max(g.closed, math.max(g.next, now) + (g.woken - at_once + 1) * step)
end

-- A route's breaker: open after so many failures in a row, for longer each time; then one call at a time may try it.
local FAILURES, FIRST_MS, LONGEST_MS, PROBE_MS, HEALTH_TTL_MS = 5, 5000, 60000, 60000, '86400000'
local function health(route)
  if not healths[route] then
    local seen = call('HMGET', 'darkroom:route:' .. route, 'failures', 'opened_ms', 'probe_ms')
    healths[route] = { failures = tonumber(seen[1] or 0), opened = tonumber(seen[2] or 0), probe = tonumber(seen[3] or 0), woken = 0 }
  end
  return healths[route]
end

local function trial(h)
  if h.failures < FAILURES then return 0 end
  return math.max(h.opened, h.probe, h.woken > 0 and now + PROBE_MS or 0)
end

-- What a call came to, as far as it speaks of its route: 'ok', 'fault', 'shut' (nothing will work for a while) or ''.
local function report(route, word)
  local h = health(route)
  if word == 'ok' and h.failures > 0 then
    h.failures, h.opened, h.probe, h.changed = 0, 0, 0, true
  elseif (word == 'fault' or word == 'shut') and now >= h.opened then -- those still under way when it opened say nothing new
    h.failures, h.probe, h.changed = h.failures + 1, 0, true
    if word == 'shut' then h.failures = math.max(h.failures, FAILURES) end
    if h.failures >= FAILURES then
      local step = FIRST_MS * 2 ^ math.min(h.failures - FAILURES, 10)
      h.opened = now + (word == 'shut' and LONGEST_MS or math.min(step, LONGEST_MS))
    end
  end
end

-- The first of a job's routes (one a line) that may be called now; else nil, the provider to wait for, and until when (nil: the
-- end of a call). Both are nil where none of the `served` is among them.
local function choose(routes, served)
  local provider, soonest
  for route in string.gmatch(routes, '[^\n]+') do
    local name = provider_of(route)
    if served and served[name] or not served and gate(name).served then
      local at = opens(gate(name))
      at = at and math.max(at, trial(health(route)))
      if at and at <= now then return route end
      provider = provider or name
      if at and (not soonest or at < soonest) then soonest = at end
    end
  end
  return nil, provider, soonest
end

-- A call begins; its job's end, or its return to the queue, is where it ends.
local function enter(route)
  local g, h = gate(provider_of(route)), health(route)
  g.change = g.change + 1
  if g.per_minute then g.next, g.paced = math.max(g.next, now) + 60000 / g.per_minute, true end
  if h.failures >= FAILURES then h.probe, h.changed = now + PROBE_MS, true end
end

local function leave(job)
  local name = job[VIA] and provider_of(job[VIA])
  if not name then return end
  gate(name).change = gate(name).change - 1
  freed[name] = true
end

local function write_gates()
  for name, g in pairs(gates) do
    if g.change ~= 0 then call('HINCRBY', gate_key(name), 'running', whole(g.change)) end
    if g.paced then call('HSET', gate_key(name), 'next_ms', whole(g.next)) end
    if g.shut then call('HSET', gate_key(name), 'closed_ms', whole(g.closed)) end
    g.running, g.change, g.paced, g.shut = g.running + g.change, 0, false, false
  end
  for route, h in pairs(healths) do
    local key = 'darkroom:route:' .. route
    if h.changed and h.failures == 0 then
      call('DEL', key)
    elseif h.changed then
      call('HSET', key, 'failures', whole(h.failures), 'opened_ms', whole(h.opened), 'probe_ms', whole(h.probe))
      call('PEXPIRE', key, HEALTH_TTL_MS)
    end
    h.changed = false
  end
end

-- Let those who wait for a permit go back to their lanes, lowest tag first, as many as there are permits. Who is back holds
-- none yet: one too many is sent here again by the claim.
local function wake(name)
  local lane_of, woken, soonest = waiting(name), 0, nil
  local of_key = string.sub(name, 1, 4) == 'key:'
  if not of_key and string.sub(name, 1, 9) ~= 'provider:' then return nil end
  local id = call('ZRANGE', lane_of, 0, 0)[1]
  while id and woken < MOST_WOKEN do
    local job = read(id, 'most_running', 'routes')
    if not job then
      call('ZADD', queue .. ':broken', now_text, id)
    else
      local route, provider, at
      if not of_key then route, provider, at = choose(job[ALSO + 1] or '') end
      if (of_key and not may_run(job)) or provider then
        soonest = at
        break
      end
      call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG], id)
      if of_key then count(running, job[KEY_ID], 1) end
      if route then
        gate(provider_of(route)).woken = gate(provider_of(route)).woken + 1
        health(route).woken = 1
      end
      woken = woken + 1
    end
    call('ZREM', lane_of, id)
    id = call('ZRANGE', lane_of, 0, 0)[1]
  end
  if woken > 0 then ring() end
  return soonest
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
  write_gates()
  uses, running = {}, {}
  for key_id in pairs(left) do wake(permit_of(key_id)) end
  for name in pairs(freed) do wake('provider:' .. name) end
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
  if job[STATE] == 'running' then
    count(sums, 'running', -1)
    leave(job)
  end
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
