-- Change an endpoint. ARGV 1 id, 2 account, 3 for how long its secret so far goes on signing beside a new one (ms), then field and
-- value pairs. Returns 1, or 0: the account has none of that id.
local id, key, listening = ARGV[1], endpoint_key(ARGV[1]), 'darkroom:endpoints:' .. ARGV[2]
local seen = call('HMGET', key, 'account', 'secret', 'state')
if seen[1] ~= ARGV[2] then return 0 end
for at = 4, #ARGV, 2 do
  if ARGV[at] == 'secret' and ARGV[at + 1] ~= seen[2] then
    call('HSET', key, 'old_secret', seen[2], 'old_until_ms', whole(now + tonumber(ARGV[3])))
  elseif ARGV[at] == 'state' and ARGV[at + 1] ~= seen[3] then
    local is_on = ARGV[at + 1] == 'enabled'
    call('HSET', key, 'reason', is_on and '' or 'asked', 'disabled_ms', is_on and '' or now_text)
    call('HDEL', key, 'failing_ms', 'failed_ms')
    call('DEL', target_key(id))
  end
end
call('HSET', key, unpack(ARGV, 4))
local now_is = call('HMGET', key, 'state', 'events')
if now_is[1] == 'enabled' then
  call('HSET', listening, id, now_is[2])
else
  call('HDEL', listening, id)
end
return 1
