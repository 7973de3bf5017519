-- Write an endpoint down. ARGV 1 id, 2 account, 3 most endpoints of an account, 4 idempotency name or '', 5 what the call says, as a
-- digest, 6 life of such a name (ms), then field and value pairs, `events` among them.
-- Returns the id; of the one made before where the name is known and that is still there; or 'full' | 'mismatch'.
local id, listing = ARGV[1], 'darkroom:endpoints:' .. ARGV[2] .. ':all'
local named = ARGV[4] ~= '' and 'darkroom:endpoint:named:' .. redis.sha1hex(ARGV[2] .. '\n' .. ARGV[4])
local seen, said = string.match(named and call('GET', named) or '', '(%S+) (%S+)')
if seen and call('EXISTS', endpoint_key(seen)) == 1 then return said == ARGV[5] and seen or 'mismatch' end
if call('EXISTS', endpoint_key(id)) == 1 then return id end
if call('ZCARD', listing) >= tonumber(ARGV[3]) then return 'full' end
call('HSET', endpoint_key(id), 'account', ARGV[2], 'state', 'enabled', 'created_ms', now_text, unpack(ARGV, 7))
call('ZADD', listing, now_text, id)
call('HSET', 'darkroom:endpoints:' .. ARGV[2], id, call('HGET', endpoint_key(id), 'events'))
if named then call('SET', named, id .. ' ' .. ARGV[5], 'PX', ARGV[6]) end
return id
