-- Write an endpoint down. ARGV 1 id, 2 account, 3 most endpoints of an account, then field and value pairs, `events` among them.
-- Returns 1 made (a repeat too), 0 there are as many as there may be.
local listing = 'darkroom:endpoints:' .. ARGV[2] .. ':all'
if call('EXISTS', endpoint_key(ARGV[1])) == 1 then return 1 end
if call('ZCARD', listing) >= tonumber(ARGV[3]) then return 0 end
call('HSET', endpoint_key(ARGV[1]), 'account', ARGV[2], 'state', 'enabled', 'created_ms', now_text, unpack(ARGV, 4))
call('ZADD', listing, now_text, ARGV[1])
call('HSET', 'darkroom:endpoints:' .. ARGV[2], ARGV[1], call('HGET', endpoint_key(ARGV[1]), 'events'))
return 1
