-- Write down new jobs and put each in the queue at its fair place. All or nothing per job, idempotent by job id.
-- ARGV 1 most unfinished jobs in all; then 17 per job:
--   id, account, key id, priority, cost, request, metadata or '', accept until (ms), deadline (ms from now, 0: none), units,
--   quota (units, '': none), period, most unfinished jobs of the key, idempotency name or '', content hash, its life (ms), notify (0|1)
-- Returns now, then per job a code and a value:
--   made id | joined id | mismatch id | late 0 | queue_full 0 | backlog 0 | quota (1: reservations are open, 0: used up)
local WIDTH = 17
local answers = { now }
local backlog = tonumber(redis.call('GET', queue .. ':open') or 0)
local made = false

local function answer(code, value)
  answers[#answers + 1] = code
  answers[#answers + 1] = value
end

for at = 2, #ARGV, WIDTH do
  local id, account, key_id, priority, cost = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local request, metadata, accept_until = ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7])
  local deadline, units, quota, period = tonumber(ARGV[at + 8]), tonumber(ARGV[at + 9]), tonumber(ARGV[at + 10]), ARGV[at + 11]
  local most, name, hash, name_life, notify = tonumber(ARGV[at + 12]), ARGV[at + 13], ARGV[at + 14], ARGV[at + 15], ARGV[at + 16]
  local key, use, joined = job_key(id), use_key(key_id), nil
  local name_key = 'darkroom:idem:' .. account .. ':' .. name
  if name ~= '' then
    local seen = redis.call('GET', name_key)
    if seen and redis.call('EXISTS', job_key(string.sub(seen, 1, 30))) == 1 then joined = seen end
  end
  local used = redis.call('HMGET', use, 'open', 'reserved', 'used:' .. period)
  local reserved = tonumber(used[2] or 0)
  if redis.call('EXISTS', key) == 1 then
    answer('made', id)
  elseif joined and string.sub(joined, 32) ~= hash then
    answer('mismatch', string.sub(joined, 1, 30))
  elseif joined then
    answer('joined', string.sub(joined, 1, 30))
  elseif now > accept_until then
    answer('late', 0)
  elseif backlog >= tonumber(ARGV[1]) then
    answer('backlog', 0)
  elseif tonumber(used[1] or 0) >= most then
    answer('queue_full', 0)
  elseif quota and units > 0 and tonumber(used[3] or 0) + reserved + units > quota then
    answer('quota', reserved > 0 and 1 or 0)
  else
    local tag = next_tag(flow_key(account, priority, 'new'), cost)
    redis.call('HSET', key, 'state', 'queued', 'account', account, 'key_id', key_id, 'priority', priority, 'cost', cost,
      'tag', whole(tag), 'fence', 0, 'request', request, 'created_ms', whole(now))
    if metadata ~= '' then redis.call('HSET', key, 'metadata', metadata) end
    if notify == '1' then redis.call('HSET', key, 'notify', 1) end
    if units > 0 then
      redis.call('HSET', key, 'units', units, 'period', period)
      redis.call('HINCRBY', use, 'reserved', units)
    end
    if deadline > 0 then
      redis.call('HSET', key, 'deadline_ms', whole(now + deadline))
      redis.call('ZADD', 'darkroom:deadlines', whole(now + deadline), id)
    end
    if name ~= '' then redis.call('SET', name_key, id .. ' ' .. hash, 'PX', name_life) end
    redis.call('HINCRBY', use, 'open', 1)
    redis.call('INCR', queue .. ':open')
    redis.call('ZADD', 'darkroom:jobs:' .. account, whole(now), id)
    redis.call('ZADD', lane(priority, 0), whole(tag), id)
    tell(account, id, 'queued')
    backlog = backlog + 1
    made = true
    answer('made', id)
  end
end
if made then ring() end
return answers
