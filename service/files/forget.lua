-- Forget files whose content is gone: those that are due. KEYS 1 what is due to go; ARGV their ids.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = {}
for _, id in ipairs(ARGV) do
  local at = redis.call('ZSCORE', KEYS[1], id)
  if at and tonumber(at) <= now then due[#due + 1] = id end
end
for _, id in ipairs(due) do
  local record = 'darkroom:file:' .. id
  local stored = redis.call('HMGET', record, 'account', 'kind')
  if stored[2] then
    redis.call('ZREM', 'darkroom:files:' .. stored[1], id)
    redis.call('DEL', record)
  end
  redis.call('ZREM', KEYS[1], id)
end
return #due
