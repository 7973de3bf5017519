-- Who wants to be told of an event gets a delivery of it, in the very step in which it happened: an account's endpoints, and
-- whom the job itself (or the batch) names. Ids follow from the event and the subscriber, so that none is written twice.
local DELIVER = 'darkroom:deliver'
local UNASKED = { started = false, progress = false } -- the others are told to whoever takes all ('*')
local heard, rang = {}, false

local function wants(types, type)
  for word in string.gmatch(types, '%S+') do
    if word == type or word == '*' and UNASKED[string.match(type, '[^.]+$')] ~= false then return true end
  end
  return false
end

-- Whom a job's own URL stands for: its host. A path for each job must not make a receiver of each.
local function host_of(account, webhook)
  local readable, own = pcall(cjson.decode, webhook)
  local url = readable and type(own) == 'table' and own.url
  local host = type(url) == 'string' and string.match(url, '^%a+://[^/?]+') or ''
  return 'url:' .. redis.sha1hex(account .. '\n' .. host)
end

local function deliver(account, subject, type, event, endpoint, webhook)
  local id = 'dlv_' .. string.sub(event, 5) .. '_' .. (string.match(endpoint, '_(.+)$') or 'own')
  local key = 'darkroom:delivery:' .. id
  if call('EXISTS', key) == 1 then return end
  local target = endpoint ~= '' and endpoint or host_of(account, webhook)
  call('HSET', key, 'account', account, 'event', event, 'type', type, 'subject', subject, 'endpoint', endpoint,
    'webhook', webhook, 'target', target, 'state', 'pending', 'attempts', '0', 'fence', '0', 'created_ms', now_text)
  call('ZADD', DELIVER, now_text, id)
  redis.pcall('ZADD', 'darkroom:deliveries:' .. account, now_text, id)
  rang = true
end

-- `subject` is the id of a job, batch or endpoint, whose own wishes, in the record at `key`, are the types in `notify` (false:
-- none); `nth` tells events of the same type and subject apart, '' where there is only one.
local function announce(account, subject, type, key, notify, nth)
  heard[account] = heard[account] or redis.pcall('HGETALL', 'darkroom:endpoints:' .. account)
  if not notify and #heard[account] == 0 then return end
  local event = 'evt_' .. string.match(subject, '_(.+)$') .. '_' .. string.match(type, '[^.]+$') .. nth
  if notify and wants(notify, type) then
    deliver(account, subject, type, event, '', call('HGET', key, 'webhook') or '')
  end
  for at = 1, #heard[account], 2 do
    if wants(heard[account][at + 1], type) then deliver(account, subject, type, event, heard[account][at], '') end
  end
end

local function ring_deliverers()
  if rang and call('LLEN', DELIVER .. ':bell') < 8 then call('LPUSH', DELIVER .. ':bell', 1) end
  rang = false
end

-- What only one account reads may be torn without harm to anybody's jobs: hence `pcall`.
-- An account's events, for whoever listens now or asks later for what came after one. Once in a batch a stream is trimmed, and
-- a nudge tells the listening front doors which streams grew.
local grown = {}
local FORGOTTEN_AFTER_MS = '604800000' -- as `FORGOTTEN_AFTER` in service/events/log.py
local function tell(account, ...)
  local stream = 'darkroom:events:' .. account
  if grown[account] then
    redis.pcall('XADD', stream, '*', ...)
  else
    redis.pcall('XADD', stream, 'MAXLEN', '~', '10000', '*', ...)
    call('PEXPIRE', stream, FORGOTTEN_AFTER_MS)
    grown[account] = true
  end
end

local function nudge_listeners()
  local accounts = {}
  for account in pairs(grown) do accounts[#accounts + 1] = account end
  if #accounts > 0 then call('PUBLISH', 'darkroom:changes', table.concat(accounts, '\n')) end
end
