-- Stands before every script on deliveries, behind `common` and `outbox`. KEYS[1] is `darkroom:deliver`; all keys are described in
-- the package's `__init__.py`.
-- Who may be called now is a question to the target, an endpoint or the host that a job's own URL names: so many at once, and
-- while it fails one at a time, at growing intervals. A delivery that may not go waits in the target's lane, where it holds no slot
-- and is not looked at. An account has a lane, too, for what is over its share of all slots.
local WAITS, COUNTS = DELIVER .. ':waits', DELIVER .. ':counts'
local FAILURES, STEPS = 5, 6 -- failures in a row that open a breaker; doublings until it stays open longest
local TARGET_TTL_MS, GONE_TTL_MS = '604800000', '86400000'

local function delivery_key(id) return 'darkroom:delivery:' .. id end
local function endpoint_key(id) return 'darkroom:endpoint:' .. id end
local function target_key(name) return DELIVER .. ':target:' .. name end
local function held_key(name) return DELIVER .. ':held:' .. name end
local function wait_key(name) return DELIVER .. ':wait:' .. name end
local function gone_key(account, webhook) return DELIVER .. ':gone:' .. redis.sha1hex(account .. '\n' .. webhook) end

-- Positions of what `look` returns; an absent one is false.
local STATE, ACCOUNT, FENCE, ATTEMPTS, BASE, TARGET, ENDPOINT, CREATED, SINCE, TURN, WEBHOOK, EVENT, TYPE, SUBJECT =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14

local function look(id)
  local d = redis.pcall('HMGET', delivery_key(id), 'state', 'account', 'fence', 'attempts', 'base', 'target', 'endpoint',
    'created_ms', 'since_ms', 'turn', 'webhook', 'event', 'type', 'subject')
  local sound = not d.err and d[STATE] and d[ACCOUNT] and d[TARGET] and d[ENDPOINT] and d[EVENT] and d[TYPE] and d[SUBJECT]
  return sound and tonumber(d[FENCE]) and tonumber(d[ATTEMPTS]) and tonumber(d[CREATED]) and d or nil
end

-- What is known of a target; read once in a script. `dead` is why it is not called at all.
local targets = {}
local function target(name, endpoint)
  local t = targets[name]
  if t then return t end
  local seen = call('HMGET', target_key(name), 'failures', 'opens_ms', 'probe')
  t = { name = name, failures = tonumber(seen[1] or 0), opens = tonumber(seen[2] or 0), probe = seen[3] or '',
    held = call('SCARD', held_key(name)) }
  if endpoint ~= '' then
    local e = redis.pcall('HMGET', endpoint_key(endpoint), 'state', 'url', 'secret', 'old_secret', 'old_until_ms', 'failing_ms',
      'failed_ms')
    t.url, t.secret, t.failing = e[2], e[3], tonumber(e[6] or nil)
    t.failed = tonumber(e[7] or nil) or t.failing
    t.old_secret = e[4] and tonumber(e[5] or 0) > now and e[4] or ''
    t.dead = not e[1] and 'endpoint_deleted' or e[1] ~= 'enabled' and 'endpoint_disabled' or nil
  end
  targets[name] = t
  return t
end

local function account_of(d) return target('account:' .. d[ACCOUNT], '') end
local function is_account(name) return string.sub(name, 1, 8) == 'account:' end

-- Why a delivery is not to be sent at all. One URL that is gone says nothing of the others at its host.
local function death_of(d, t)
  if d[ENDPOINT] ~= '' then return t.dead end
  return call('EXISTS', gone_key(d[ACCOUNT], d[WEBHOOK] or '')) == 1 and 'gone' or nil
end

-- How many may be in work at once: of a target `at_once`, of an account a third of the slots that all workers have. It chooses who
-- is called, and so how long that takes.
local SHARE, SPOKE_MS = 3, 120000
local of_account
local function most_of(name, at_once, slots)
  if not is_account(name) then return at_once end
  if not of_account then
    local workers = math.max(1, call('ZCOUNT', 'darkroom:workers', whole(now - SPOKE_MS), '+inf'))
    of_account = math.max(1, math.floor(workers * slots / SHARE))
  end
  return of_account
end

-- Whether the one that tries an open breaker is still about.
local function is_probing(t) return t.probe ~= '' and call('ZSCORE', DELIVER, t.probe) and true end

local function probe_with(t, id)
  t.probe = id
  call('HSET', target_key(t.name), 'probe', id)
end

-- Send as many as may go from a target's lane, first come first. Others that are due may be faster: then they are sent back.
local MOST_WOKEN = 100
local function wake(t, most)
  local lane = wait_key(t.name)
  local room = most - t.held
  if t.dead then
    room = MOST_WOKEN
  elseif t.failures >= FAILURES then
    room = is_probing(t) and 0 or 1
  end
  local ids = room > 0 and call('ZRANGE', lane, 0, math.min(room, MOST_WOKEN) - 1) or {}
  for _, id in ipairs(ids) do
    local due = now
    if not t.dead and t.failures >= FAILURES then
      due = math.max(now, t.opens)
      probe_with(t, id)
    end
    call('ZREM', lane, id)
    call('ZADD', DELIVER, whole(due), id)
    rang = rang or due <= now
  end
  if call('EXISTS', lane) == 0 then call('SREM', WAITS, t.name) end
end

-- Who comes last stands last, so that not always the same one tries a receiver that fails.
local function set_aside(id, name)
  call('ZREM', DELIVER, id)
  call('ZADD', wait_key(name), now_text, id)
  call('SADD', WAITS, name)
end

local function hold(id, d, t)
  for _, one in ipairs({ t, account_of(d) }) do
    if call('SADD', held_key(one.name), id) == 1 then one.held = one.held + 1 end
  end
end

local function drop_held(id, d, t)
  for _, one in ipairs({ t, account_of(d) }) do
    if call('SREM', held_key(one.name), id) == 1 then one.held = one.held - 1 end
  end
end

-- How it went, by how often; written once.
local counts = {}
local function count(outcome) counts[outcome] = (counts[outcome] or 0) + 1 end
local function write_counts()
  for outcome, times in pairs(counts) do call('HINCRBY', COUNTS, outcome, times) end
end

-- Whoever is in work stands in DELIVER. One that does not is a record that was lost: it gives its place back.
local function drop_lost(t)
  for _, id in ipairs(call('SRANDMEMBER', held_key(t.name), 3)) do
    if not call('ZSCORE', DELIVER, id) and call('SREM', held_key(t.name), id) == 1 then t.held = t.held - 1 end
  end
end

-- The end of a delivery, until somebody asks for it again. `reason` is '' where it arrived; the rest are more fields to write.
local function conclude(id, d, state, reason, retention, ...)
  call('HSET', delivery_key(id), 'state', state, 'reason', reason, 'completed_ms', now_text, ...)
  if d[TURN] then call('HDEL', delivery_key(id), 'turn') end
  call('PEXPIRE', delivery_key(id), retention)
  call('ZREM', DELIVER, id)
  drop_held(id, d, target(d[TARGET], d[ENDPOINT]))
  count(reason == '' and state or reason)
end

-- Take an endpoint out of service; the account's others are told, and whoever listens to its events.
local function disable(account, id, reason)
  call('HSET', endpoint_key(id), 'state', 'disabled', 'reason', reason, 'disabled_ms', now_text)
  call('HDEL', endpoint_key(id), 'failing_ms', 'failed_ms')
  call('HDEL', 'darkroom:endpoints:' .. account, id)
  if targets[id] then targets[id].dead = 'endpoint_disabled' end
  heard[account] = nil -- it hears no more
  tell(account, 'endpoint', id, 'state', 'disabled')
  announce(account, id, 'endpoint.disabled', '', false, now_text)
end

