-- Take deliveries that are due. ARGV 1 worker, 2 most, 3 lease ms, 4 most at once per target, 5 calls a minute per host (0: no
-- limit), 6 retention ms, 7 the longest that an unsuccessful delivery is tried, in ms, 8 slots of a worker,
-- 9 stale ms (see `beat`).
-- Returns when the next is due (ms from now, -1: none), whether some were left behind, and per delivery:
--   id, fence, attempts, attempts since somebody asked for it, event, type, subject, account, created ms, endpoint, webhook, url,
--   secret, old secret ('' where there is none)
local LOOKED_AT = 300 -- entries that one claim moves at most; each is looked at once, and then taken or out of the way
local worker, most, lease_end = ARGV[1], tonumber(ARGV[2]), whole(now + tonumber(ARGV[3]))
local at_once, per_minute = tonumber(ARGV[4]), tonumber(ARGV[5])
local retention, patience, slots = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local taken, left = {}, false
local grace = beat(tonumber(ARGV[9]), tonumber(ARGV[3]))

-- Lanes are woken by who comes back from their target; some are looked at here too, so that none waits for one who died, or for
-- longer than anything is tried.
for _, name in ipairs(call('SRANDMEMBER', WAITS, 3)) do
  local t = target(name, string.sub(name, 1, 3) == 'ep_' and name or '')
  for _, id in ipairs(call('ZRANGEBYSCORE', wait_key(name), '-inf', whole(now - patience), 'LIMIT', 0, MOST_WOKEN)) do
    local d = look(id)
    call('ZREM', wait_key(name), id)
    if d then conclude(id, d, 'failed', 'exhausted', retention) end
  end
  drop_lost(t)
  wake(t, most_of(name, at_once, slots))
end

-- The hosts' pace: calls are spread over the minute but for a second's worth at once. Returns when this one's turn is.
local function turn_of(url)
  local key = DELIVER .. ':host:' .. (string.match(url, '^%a+://([^/?]+)') or '')
  local step = 60000 / per_minute
  local next = math.max(now, tonumber(call('GET', key) or 0))
  call('SET', key, whole(next + step), 'PX', whole(next + step - now + 1000))
  return next - 1000
end

-- Whether the target takes it now; else it is out of the way.
local function passes(id, d, t)
  if d[STATE] == 'running' and call('SISMEMBER', held_key(t.name), id) == 1 then return true end -- its worker died
  if t.failures >= FAILURES and t.probe ~= id then
    if is_probing(t) then
      set_aside(id, t.name)
      return false
    end
    probe_with(t, id)
  end
  if t.failures >= FAILURES and t.opens > now then
    call('ZADD', DELIVER, whole(t.opens), id)
    return false
  end
  for _, one in ipairs({ t, account_of(d) }) do
    if one.held >= most_of(one.name, at_once, slots) then
      set_aside(id, one.name)
      return false
    end
  end
  return true
end

local function is_its_turn(id, d, url)
  if per_minute == 0 or d[TURN] then return true end
  local at = turn_of(url)
  if at <= now then return true end
  call('HSET', delivery_key(id), 'turn', '1')
  call('ZADD', DELIVER, whole(at), id)
  return false
end

local function take(id, d, t, url)
  local fence = tonumber(d[FENCE]) + 1
  call('HSET', delivery_key(id), 'state', 'running', 'fence', whole(fence), 'worker', worker)
  call('ZADD', DELIVER, lease_end, id)
  hold(id, d, t)
  local attempts = tonumber(d[ATTEMPTS])
  taken[#taken + 1] = { id, fence, attempts, attempts - tonumber(d[BASE] or 0), d[EVENT], d[TYPE], d[SUBJECT], d[ACCOUNT],
    tonumber(d[CREATED]), d[ENDPOINT], d[WEBHOOK] or '', url, t.secret or '', t.old_secret or '' }
end

local function url_of(d, t)
  if d[ENDPOINT] ~= '' then return t.url end
  local read, webhook = pcall(cjson.decode, d[WEBHOOK] or '')
  return read and type(webhook) == 'table' and webhook.url or nil
end

for nth, id in ipairs(call('ZRANGEBYSCORE', DELIVER, '-inf', now_text, 'LIMIT', 0, LOOKED_AT)) do
  if #taken >= most or nth == LOOKED_AT then
    left = true
    break
  end
  local d = look(id)
  if not d or d[STATE] == 'delivered' or d[STATE] == 'failed' then
    call('ZREM', DELIVER, id)
  elseif d[STATE] == 'running' and now < grace then
    call('ZADD', DELIVER, whole(grace), id)
  else
    local t = target(d[TARGET], d[ENDPOINT])
    local url, death = url_of(d, t), death_of(d, t)
    if death or not url then
      if d[STATE] == 'running' then call('HINCRBY', delivery_key(id), 'fence', 1) end -- whoever held it has no say any more
      conclude(id, d, 'failed', death or 'invalid_url', retention)
    elseif passes(id, d, t) and is_its_turn(id, d, url) then
      take(id, d, t, url)
    end
  end
end
local kept = whole(tonumber(retention) + patience)
for name, t in pairs(targets) do
  if is_account(name) then
    local listing = 'darkroom:deliveries:' .. string.sub(name, 9)
    redis.pcall('ZREMRANGEBYSCORE', listing, '-inf', whole(now - kept))
    call('PEXPIRE', listing, kept)
    -- What came from its lane may have found its target full: the next may not.
    if not left and call('EXISTS', wait_key(name)) == 1 then wake(t, most_of(name, at_once, slots)) end
  end
end
ring_deliverers()
write_counts()
local upcoming = call('ZRANGEBYSCORE', DELIVER, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
return { upcoming and math.max(0, math.ceil(tonumber(upcoming) - now)) or -1, left and 1 or 0, unpack(taken) }
