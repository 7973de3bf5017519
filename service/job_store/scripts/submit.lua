-- Write down new jobs and put each in the queue at its fair place. All or nothing per job, idempotent by job id.
-- ARGV 1 most unfinished jobs in all, 2 life of an idempotency name, 3 life of a cache key (ms); then 20 per job:
--   id, account, key id, priority, cost, request, metadata or '', accept until (ms), deadline (ms from now, 0: none), units,
--   quota (units, '': none), most unfinished jobs of the key, most running ones ('': no limit), idempotency name or '',
--   content hash, event types its own webhook wants or '', cache key or '', the request without its words or '' (takes its place
--   when the job is final), routes, one a line, or '', further fields of the record (JSON) or '': webhook, alias, retry_of,
--   batch ('batch line'), custom_id, on_ambiguous, images (asked for)
-- Returns now, then per job a code, a value, and what its key has reserved and used with it:
--   made id | joined id | mismatch id | late 0 | batch_over 0 | queue_full 0 | backlog 0 | quota (1: reservations are open, 0: used up)
local WIDTH = 20
local answers = { now }
local backlog = tonumber(call('GET', queue .. ':open') or 0)
local most_in_all, name_life, cache_life = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local known, begun = {}, {}

-- What the key has open, reserved and used, with what this batch adds.
local function known_use(key_id)
  if not known[key_id] then
    local seen = call('HMGET', use_key(key_id), 'open', 'reserved', used_in(now))
    known[key_id] = { tonumber(seen[1] or 0), tonumber(seen[2] or 0), tonumber(seen[3] or 0) }
  end
  return known[key_id]
end

-- The job whose result, made or in the making, answers for that name; partial or lost results and failures answer for nobody.
local function cached(name)
  local id = call('GET', name)
  local seen = id and call('HMGET', job_key(id), 'state', 'error', 'lost') or {}
  local lives = seen[1] == 'queued' or seen[1] == 'running' or seen[1] == 'succeeded' and not seen[2] and not seen[3]
  return lives and id
end

-- What is known of a batch: whether lines of it may still begin, which of them were dealt with, and how many batches share what
-- its account has of the fleet.
local batches = {}
local function batch_of(id, account)
  if not batches[id] then
    local seen = call('HMGET', batch_key(id), 'state', 'cursor')
    batches[id] = { runs = seen[1] == 'in_progress', cursor = tonumber(seen[2] or 0), share = call('SCARD', active(account)) }
  end
  return batches[id]
end

-- The job that a name stands for, and the hash of what was asked for under it; nil where it is free, or its job gone.
local function holder(name)
  local seen = call('GET', name)
  if seen and call('EXISTS', job_key(string.sub(seen, 1, 30))) == 1 then return seen end
end

local function submit(at)
  local seen = known_use(ARGV[at + 2])
  local function answer(code, value)
    for _, part in ipairs({ code, value, seen[2] or 0, seen[3] or 0 }) do answers[#answers + 1] = part end
  end
  local id, account, key_id, priority, cost = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local request, metadata, accept_until = ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7])
  local deadline, asked, quota, most = tonumber(ARGV[at + 8]), tonumber(ARGV[at + 9]), tonumber(ARGV[at + 10]), tonumber(ARGV[at + 11])
  local most_running, name, hash, notify = ARGV[at + 12], ARGV[at + 13], ARGV[at + 14], ARGV[at + 15]
  local cache, shown = ARGV[at + 16], ARGV[at + 17]
  local key, joined = job_key(id), nil
  local name_key, cache_key = 'darkroom:idem:' .. account .. ':' .. name, 'darkroom:cache:' .. account .. ':' .. cache
  local more = ARGV[at + 19] ~= '' and cjson.decode(ARGV[at + 19]) or {}
  if name ~= '' then joined = holder(name_key) end
  if more.alias and not joined then joined = holder(alias_key(account, more.alias)) end
  local made = not joined and cache ~= '' and cached(cache_key)
  local batch, line = string.match(more.batch or '', '^(%S+) (%d+)$')
  local of = batch and batch_of(batch, account)
  if call('EXISTS', key) == 1 then
    if not begun[id] and restore(id) then call('ZADD', 'darkroom:jobs:' .. account, 'NX', now_text, id) end
    answer('made', id)
  elseif joined and string.sub(joined, 32) ~= hash then
    answer('mismatch', string.sub(joined, 1, 30))
  elseif joined then
    answer('joined', string.sub(joined, 1, 30))
  elseif made then
    if name ~= '' then call('SET', name_key, made .. ' ' .. hash, 'PX', name_life) end
    answer('joined', made)
  elseif of and (tonumber(line) < of.cursor or call('EXISTS', 'darkroom:gone:' .. id) == 1) then
    answer('made', id) -- it was, or it failed, or somebody deleted it since
  elseif of and not of.runs then
    answer('batch_over', 0)
  elseif now > accept_until then
    answer('late', 0)
  elseif backlog >= most_in_all then
    answer('backlog', 0)
  elseif seen[1] >= most then
    answer('queue_full', 0)
  elseif quota and asked > 0 and seen[3] + seen[2] + asked > quota then
    answer('quota', seen[2] > 0 and 1 or 0)
  else
    if of then cost = cost * math.max(1, of.share) end
    local tag = whole(next_tag(flow_key(account, priority, 'new', batch), cost))
    local fields = { 'state', 'queued', 'account', account, 'key_id', key_id, 'priority', priority, 'cost', whole(cost),
      'tag', tag, 'fence', '0', 'created_ms', now_text, 'request', request }
    local function also(field, value)
      fields[#fields + 1] = field
      fields[#fields + 1] = value
    end
    if metadata ~= '' then also('metadata', metadata) end
    if notify ~= '' then also('notify', notify) end
    for field, value in pairs(more) do also(field, value) end
    if more.retry_of then
      local old = call('HMGET', job_key(more.retry_of), 'notify', 'webhook')
      if old[1] and old[2] then also('notify', old[1]) also('webhook', old[2]) end
    end
    if shown ~= '' then also('shown', shown) end
    if most_running ~= '' then also('most_running', most_running) end
    if ARGV[at + 18] ~= '' then also('routes', ARGV[at + 18]) end
    if asked > 0 then also('units', ARGV[at + 9]) end
    if deadline > 0 then
      also('deadline_ms', whole(now + deadline))
      add(scores, 'darkroom:deadlines', whole(now + deadline), id)
    end
    if batch then call('SADD', batch_key(batch) .. ':open', line) end
    call('HSET', key, unpack(fields))
    begun[id] = true
    if name ~= '' then call('SET', name_key, id .. ' ' .. hash, 'PX', name_life) end
    if cache ~= '' then call('SET', cache_key, id, 'PX', cache_life) end
    add(scores, 'darkroom:jobs:' .. account, now_text, id)
    add(scores, lane(priority, 0), tag, id)
    if more.alias then call('SET', alias_key(account, more.alias), id .. ' ' .. hash) end
    tell_of(account, id, 'queued', batch)
    seen[1], seen[2], backlog, opened = seen[1] + 1, seen[2] + asked, backlog + 1, opened + 1
    count(use(key_id), 'open', 1)
    count(use(key_id), 'reserved', asked)
    count(row(account, key_id, now), 'jobs', 1)
    answer('made', id)
  end
end
for at = 4, #ARGV, WIDTH do each(submit, at) end
flush()
if opened > 0 then ring() end
return answered(answers)
