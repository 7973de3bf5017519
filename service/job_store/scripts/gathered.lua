-- What a batch has in common (entries, counters, ledger, tags, publishes) is gathered here and written once, by `flush` (waits.lua).
local FLOW_TTL_MS, LEDGER_TTL_MS, POPULAR_TTL_MS = '604800000', '34560000000', '3024000000' -- 7, 400 and 35 days
local MOST_WOKEN = 500

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

-- Take a step for one item of many. Where it breaks off (on a key that is none), what the others gathered is written all the same,
-- or they would be neither done nor to be done again; then it is told, and a repeat finds them done.
local broken
local function each(step, at)
  local is_whole, why = pcall(step, at)
  if not is_whole then broken = broken or why end
end
local function answered(answers)
  if not broken then return answers end
  return type(broken) == 'table' and broken or redis.error_reply(tostring(broken))
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
    if amount ~= 0 then redis.pcall('HINCRBY', key, prefix .. field, whole(amount)) end
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
