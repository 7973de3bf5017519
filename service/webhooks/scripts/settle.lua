-- Write down what attempts came to. ARGV 1 retention ms, 2 most at once per target, 3 longest that a breaker is open (ms), 4 after
-- how long of nothing but failures an endpoint is disabled (ms), 5 the longest that an unsuccessful delivery is tried (ms),
-- 6 slots of a worker; then per delivery:
--   id, fence, what is next (delivered | again | exhausted | gone | crashed | back), the wait before the next attempt (ms), the
--   log's line
-- `back` gives a delivery back as if it had not been claimed; `crashed` is a bug of ours, for which no receiver is blamed.
-- Idempotent for its own fence.
-- Returns per delivery 1 written, 0 refused (fenced off).
local retention, most, longest, disable_after = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local patience, slots = tonumber(ARGV[5]), tonumber(ARGV[6])
local QUIET = 0.4 -- without a word for this part of `disable_after`, what failed before says nothing
local REASONS = { delivered = '', again = 'exhausted', exhausted = 'exhausted', gone = 'gone', crashed = 'exhausted' }
local answers, seen = {}, {}

local function went_well(t, endpoint)
  if t.failures > 0 then call('DEL', target_key(t.name)) end
  t.failures, t.opens, t.probe = 0, 0, ''
  if t.failing then call('HDEL', endpoint_key(endpoint), 'failing_ms', 'failed_ms') end
  t.failing = nil
end

local function went_wrong(t, id)
  local was_probe = t.probe == id
  if t.failures >= FAILURES and not was_probe then return end -- begun before the breaker opened: says nothing new
  t.failures = t.failures + 1
  if was_probe then t.probe = '' end
  if t.failures >= FAILURES then t.opens = now + longest / 2 ^ math.max(0, STEPS - (t.failures - FAILURES)) end
  call('HSET', target_key(t.name), 'failures', whole(t.failures), 'opens_ms', whole(t.opens), 'probe', t.probe)
  call('PEXPIRE', target_key(t.name), TARGET_TTL_MS)
end

-- An endpoint that says it is gone, or has said nothing good for days, hears no more; nor does a job's own URL that is gone.
local function judge(t, d, is_gone)
  local endpoint = d[ENDPOINT]
  if endpoint == '' then
    if is_gone then call('SET', gone_key(d[ACCOUNT], d[WEBHOOK] or ''), '1', 'PX', GONE_TTL_MS) end
  elseif t.dead then
    return
  elseif is_gone then
    disable(d[ACCOUNT], endpoint, 'gone')
  elseif not t.failing or now - t.failed > disable_after * QUIET then
    t.failing, t.failed = now, now
    call('HSET', endpoint_key(endpoint), 'failing_ms', now_text, 'failed_ms', now_text)
  elseif now - t.failing > disable_after then
    disable(d[ACCOUNT], endpoint, 'failing')
  else
    t.failed = now
    call('HSET', endpoint_key(endpoint), 'failed_ms', now_text)
  end
end

local function judge_by(word, id, d, t)
  if word == 'crashed' then
    if t.probe == id then probe_with(t, '') end -- somebody else tries it
    return
  end
  -- The host of a job's own URL that is gone is up.
  if word == 'delivered' or word == 'gone' and d[ENDPOINT] == '' then went_well(t, d[ENDPOINT]) else went_wrong(t, id) end
  if word ~= 'delivered' then judge(t, d, word == 'gone') end
end

local function settle(id, d, t, word, wait, line)
  if word == 'back' then
    call('HSET', delivery_key(id), 'state', 'pending')
    call('ZADD', DELIVER, now_text, id)
    drop_held(id, d, t)
    rang = true
    return
  end
  local n = whole(tonumber(d[ATTEMPTS]) + 1)
  judge_by(word, id, d, t)
  local is_old = now - tonumber(d[SINCE] or d[CREATED]) > patience
  if (word == 'again' or word == 'crashed') and not is_old then
    call('HSET', delivery_key(id), 'state', 'pending', 'attempts', n, 'log:' .. n, line)
    if d[TURN] then call('HDEL', delivery_key(id), 'turn') end
    call('ZADD', DELIVER, whole(now + wait), id)
    count('again')
    drop_held(id, d, t)
  else
    local state = word == 'delivered' and word or 'failed'
    conclude(id, d, state, REASONS[word], retention, 'attempts', n, 'log:' .. n, line)
  end
end

for at = 7, #ARGV, 5 do
  local id = ARGV[at]
  local d = not seen[id] and look(id)
  if not d or d[FENCE] ~= ARGV[at + 1] then
    answers[#answers + 1] = 0
  elseif d[STATE] ~= 'running' then
    answers[#answers + 1] = 1
  else
    seen[id] = true
    local t = target(d[TARGET], d[ENDPOINT])
    settle(id, d, t, ARGV[at + 2], tonumber(ARGV[at + 3]), ARGV[at + 4])
    answers[#answers + 1] = 1
  end
end
for _, t in pairs(targets) do
  if call('EXISTS', wait_key(t.name)) == 1 then wake(t, most_of(t.name, most, slots)) end
end
ring_deliverers()
write_counts()
nudge_listeners()
return answers
