-- Stands before every script, with `gates`, `gathered`, `outbox`, `batches`, `waits` and `steps` behind it. KEYS[1] is the queue; its lanes are named
-- after it (see keys.py).
-- Every script reads and checks an item whole before it first writes for it, because Lua does not roll back: a record that is
-- none (torn by hand, or by a version to come) must not stop a batch half way.
local queue = KEYS[1]
local BATCH = queue .. ':batch'
local FIRST_TAG = -4503599627370496 -- -2^52; tags rise from here and stay below 0
local SUSPECT_LANES = 5
local EPHEMERAL = 'darkroom:ephemeral'
local call = redis.call

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number) return string.format('%.0f', number) end
local now_text = whole(now)
local function job_key(id) return 'darkroom:job:' .. id end
local function alias_key(account, alias) return 'darkroom:alias:' .. account .. ':' .. alias end
local function use_key(key_id) return 'darkroom:use:' .. key_id end
local function suspects(k) return queue .. ':suspects:' .. k end
local function waiting(name) return queue .. ':wait:' .. name end
local WAITS = queue .. ':waits'
local function permit_of(key_id) return 'key:' .. key_id end
local function hold_of(key_id) return 'held:' .. key_id end

-- The lane a ready job waits in. Whoever died in company is watched (decisions.md 2); batch has slots of its own.
local function lane(priority, interruptions)
  if interruptions > 0 then return suspects(math.min(interruptions, SUSPECT_LANES)) end
  if priority == 'batch' then return BATCH end
  return queue
end

-- Outage is not death (decisions.md 1): after silence longer than `stale` the living get one lease length to renew before
-- anything is taken over, whoever of them speaks first. Returns until when nothing is. It is remembered for a while longer, for
-- whoever asks who is served (gates.lua).
local SPOKEN_MS = 60000
local function beat(stale, lease)
  local pulse = tonumber(call('GET', queue .. ':pulse') or now)
  local grace = tonumber(call('GET', queue .. ':grace') or 0)
  if now - pulse > stale then
    grace = now + lease
    call('SET', queue .. ':grace', whole(grace), 'PX', whole(lease + SPOKEN_MS))
  end
  call('SET', queue .. ':pulse', now_text)
  return grace
end

-- Positions of a record's fields in what `read` returns; an absent one is false.
local STATE, ACCOUNT, KEY_ID, PRIORITY, COST, TAG, FENCE, INTERRUPTIONS, ATTEMPTS, UNITS, CREATED, DEADLINE, STARTED, NOTIFY,
  SHOWN, VIA, BATCH_LINE, IMAGES, VIA2 = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19
local ALSO = 20 -- the first of those that a script reads besides

local PRIORITIES = { interactive = true, normal = true, batch = true }

-- Whether every field that a step counts with is there and can be counted with.
local function is_sound(job)
  if not (job[ACCOUNT] and job[KEY_ID] and PRIORITIES[job[PRIORITY]]) then return false end
  if not (tonumber(job[COST]) and tonumber(job[TAG]) and tonumber(job[FENCE]) and tonumber(job[CREATED])) then return false end
  if not (tonumber(job[UNITS] or 0) and tonumber(job[INTERRUPTIONS] or 0)) then return false end
  if not tonumber(job[IMAGES] or 1) then return false end
  return tonumber(job[ATTEMPTS] or 0) and tonumber(job[DEADLINE] or 0) and true
end

-- The fields every step decides on, and those named behind them; nil when there is no such record, or none to work with.
local function read(id, ...)
  local job = redis.pcall('HMGET', job_key(id), 'state', 'account', 'key_id', 'priority', 'cost', 'tag', 'fence', 'interruptions',
    'attempts', 'units', 'created_ms', 'deadline_ms', 'started_ms', 'notify', 'shown', 'via', 'batch', 'images',
    'via2', ...)
  if job.err or not job[STATE] or not is_sound(job) then return nil end
  job.id = id
  return job
end

