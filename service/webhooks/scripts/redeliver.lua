-- Send a delivery once more, from the beginning of its schedule. ARGV 1 id, 2 account.
-- Returns made, or why not: unknown | endpoint_deleted | endpoint_disabled. One that is under way is left as it is; one that waits
-- for its next attempt is due at once.
local id = ARGV[1]
local d = look(id)
if not d or d[ACCOUNT] ~= ARGV[2] then return 'unknown' end
if d[STATE] == 'running' then return 'made' end
local t = target(d[TARGET], d[ENDPOINT])
if t.dead then return t.dead end
call('DEL', gone_key(d[ACCOUNT], d[WEBHOOK] or ''))
call('HSET', delivery_key(id), 'state', 'pending', 'base', d[ATTEMPTS], 'since_ms', now_text)
call('HDEL', delivery_key(id), 'reason', 'completed_ms', 'turn')
call('PERSIST', delivery_key(id))
call('ZREM', wait_key(t.name), id)
call('ZREM', wait_key(account_of(d).name), id)
call('ZADD', DELIVER, now_text, id)
rang = true
ring_deliverers()
return 'made'
