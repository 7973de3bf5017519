-- Call a batch off: none of its lines begins any more. What waits in the queue is taken out next, by `call_off`.
-- ARGV 1 id, 2 account. Returns canceled | already (canceled before) | final | unknown (none, or somebody else's).
local id = ARGV[1]
local seen = call('HMGET', batch_key(id), 'state', 'account')
if seen[2] ~= ARGV[2] then return 'unknown' end
if seen[1] == 'cancelling' or seen[1] == 'cancelled' then return 'already' end
if seen[1] ~= 'validating' and seen[1] ~= 'in_progress' and seen[1] ~= 'expiring' then return 'final' end
call('HSET', batch_key(id), 'state', 'cancelling', 'cancelling_ms', now_text)
call('ZREM', FEED, id)
call('ZREM', OVER, id)
call('ZADD', EXPIRY, now_text, id)
tell_of_batch(seen[2], id, 'cancelling')
see_to_batch(id)
flush()
return 'canceled'
