-- Batches: which of their lines are under way, and how the others came out. A record names its place as 'batch line'.
-- What a script changes is gathered and written once, by `write_batches`, which also ends a batch with its last line.
local FEED, EXPIRY, OVER = 'darkroom:feed', 'darkroom:batches:expiry', 'darkroom:retention:batches'
local LISTING, NAMES = 'darkroom:batches:of:', 'darkroom:batches:name:'
local ending = {} -- batch id -> { lines = {..}, sums = {field = amount} }

local function batch_key(id) return 'darkroom:batch:' .. id end
local function active(account) return 'darkroom:batches:active:' .. account end
local function place_of(job) return string.match(job[BATCH_LINE] or '', '^(%S+) (%d+)$') end

-- Times are counted in classes a quarter of an octave wide: percentiles to a fifth, in less than a hundred fields.
local function class_of(ms) return 'ms:' .. math.floor(4 * math.log(math.max(1, ms)) / math.log(2) + 0.5) end

local function batch_sums(id)
  ending[id] = ending[id] or { lines = {}, sums = {} }
  return ending[id].sums
end

-- A line is over: its job is final, or there never was one.
local function end_line(id, line, state, ms)
  local sums = batch_sums(id)
  count(sums, state == 'succeeded' and 'completed' or state, 1)
  if ms then count(sums, class_of(ms), 1) end
  local lines = ending[id].lines
  lines[#lines + 1] = line
end

local function tell_of_batch(account, id, state)
  tell(account, 'batch', id, 'state', state)
  local key = batch_key(id)
  announce(account, id, 'batch.' .. state, key, call('HGET', key, 'notify'), '')
end

-- What was never begun counts as canceled, or as expired with the batch.
local function end_batch(id, account, state)
  local key = batch_key(id)
  local seen = call('HMGET', key, 'retention_ms', 'total', 'completed', 'failed', 'canceled', 'expired')
  local left, forgotten = tonumber(seen[2] or 0), whole(now + tonumber(seen[1] or 0))
  for at = 3, 6 do left = left - tonumber(seen[at] or 0) end
  if left > 0 then call('HINCRBY', key, state == 'expired' and 'expired' or 'canceled', whole(left)) end
  call('HSET', key, 'state', state, 'ended_ms', now_text, 'forgotten_ms', forgotten)
  call('ZADD', OVER, forgotten, id)
  call('ZREM', FEED, id)
  call('ZREM', EXPIRY, id)
  call('SREM', active(account), id)
  tell_of_batch(account, id, state)
  call('PUBLISH', 'darkroom:finals', id .. ' ' .. state)
end

-- Nothing but what lies in the store is left of it, and the note that it is to go.
local function drop_batch(id, account)
  local key = batch_key(id)
  local name = call('HGET', key, 'name')
  local name_key = name and NAMES .. account .. ':' .. name
  if name and string.match(call('GET', name_key) or '', '^%S+') == id then call('DEL', name_key) end
  call('UNLINK', key, key .. ':open', key .. ':done', key .. ':bad')
  for priority in pairs(PRIORITIES) do call('DEL', 'darkroom:flow:new:' .. account .. ':' .. priority .. ':' .. id) end
  call('ZREM', LISTING .. account, id)
  call('ZREM', FEED, id)
  call('ZREM', EXPIRY, id)
  call('SREM', active(account), id)
  call('ZADD', OVER, now_text, id)
end

-- End a batch none of whose lines is under way or to come; ask for more lines where its window is half empty. One that was put off
-- because something was full is looked at soon: it may have become room.
local END_OF = { in_progress = 'completed', cancelling = 'cancelled', expiring = 'expired' }
local function see_to_batch(id)
  local seen = call('HMGET', batch_key(id), 'state', 'account', 'total', 'cursor', 'window', 'feeder', 'delays', 'crashes')
  if not END_OF[seen[1]] then return end
  local left, under_way = tonumber(seen[3] or 0) - tonumber(seen[4] or 0), call('SCARD', batch_key(id) .. ':open')
  if under_way == 0 and (left == 0 or seen[1] ~= 'in_progress') then
    end_batch(id, seen[2], END_OF[seen[1]])
  elseif left > 0 and seen[1] == 'in_progress' and under_way <= tonumber(seen[5]) / 2 then
    if call('ZADD', FEED, 'NX', now_text, id) == 1 then
      call('PUBLISH', FEED, id)
    elseif seen[7] and not seen[6] and not seen[8] then
      call('ZADD', FEED, 'XX', 'LT', now_text, id)
    end
  end
end

local function write_batches()
  for id, change in pairs(ending) do
    local key = batch_key(id)
    if call('TYPE', key).ok == 'hash' then
      if #change.lines > 0 then
        in_parts('SREM', key .. ':open', change.lines)
        in_parts('RPUSH', key .. ':done', change.lines)
      end
      add_up(key, '', change.sums)
      see_to_batch(id)
    end
  end
  ending = {}
end
