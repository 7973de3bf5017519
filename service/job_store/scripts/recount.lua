-- Count anew what is kept as a number, and put right what a step that broke off left behind: a call too many would keep its
-- provider shut for ever. It is one step, so that nothing moves meanwhile. ARGV 1 most entries looked at, then ids of API keys.
-- Where there are more, only what runs is counted. Returns how many numbers were wrong; -1: too much runs, or entries are missing,
-- which others see to first (repair.lua).
local most, wrong = tonumber(ARGV[1]), 0

local lanes, all = { queue, BATCH }, 0
for k = 1, SUSPECT_LANES do lanes[#lanes + 1] = suspects(k) end
local waits = call('SMEMBERS', WAITS)
for _, name in ipairs(waits) do lanes[#lanes + 1] = waiting(name) end
for _, name in ipairs(lanes) do all = all + call('ZCARD', name) end
local open, is_whole = tonumber(call('GET', queue .. ':open') or 0), all <= most
if open > all then return -1 end

local ids = {}
local function look(from, lowest)
  for _, id in ipairs(call('ZRANGEBYSCORE', from, lowest, '+inf', 'LIMIT', 0, most + 1)) do ids[#ids + 1] = id end
end
if is_whole then
  for _, name in ipairs(lanes) do look(name, '-inf') end
else
  look(queue, '(0')
  for k = 1, SUSPECT_LANES do look(suspects(k), '-inf') end
end
if #ids > most then return -1 end

local records, keys, calls = 0, {}, {}
for _, name in ipairs(waits) do
  if is_of_routes(name) then
    for route in string.gmatch(string.match(name, ':(.*)$'), '[^\n]+') do sub(calls, provider_of(route)) end
  end
end
for _, id in ipairs(ids) do
  local job = read(id)
  if job then
    local sums = sub(keys, job[KEY_ID])
    count(sums, 'open', 1)
    count(sums, 'reserved', tonumber(job[UNITS] or 0))
    if job[STATE] == 'running' then
      count(sums, 'running', 1)
      for _, via in ipairs({ VIA, VIA2 }) do
        local g = job[via] and sub(calls, provider_of(job[via]))
        if g then count(g, 'running', 1) count(g, 'images', images_of(job)) end
      end
    end
  end
  if job or call('EXISTS', job_key(id)) == 1 then records = records + 1 end
end

local function put_right(key, fields, found)
  for _, field in ipairs(fields) do
    local right = found[field] or 0
    if (tonumber(call('HGET', key, field) or 0) or 0) ~= right then
      call('HSET', key, field, whole(right))
      wrong = wrong + 1
    end
  end
end
for at = 2, #ARGV do
  local fields = is_whole and { 'running', 'open', 'reserved' } or { 'running' }
  put_right(use_key(ARGV[at]), fields, keys[ARGV[at]] or {})
end
for name, found in pairs(calls) do put_right(gate_key(name), { 'running', 'images' }, found) end
if is_whole and open < records then
  call('SET', queue .. ':open', whole(records))
  wrong = wrong + 1
end
return wrong
