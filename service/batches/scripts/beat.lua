-- Whoever works on a batch says that he lives. ARGV 1 id, 2 his name ('': the request that brings its lines), 3 ms until he
-- speaks again. Returns 1, or 0 where there is nothing left to work on, or somebody else does.
local id, holder, within = ARGV[1], ARGV[2], tonumber(ARGV[3])
local seen = call('HMGET', batch_key(id), 'state', 'feeder')
local works = seen[1] == 'validating' or seen[1] == 'in_progress' and holder ~= ''
if not works or (seen[2] or '') ~= holder then return 0 end
call('ZADD', holder == '' and OVER or FEED, whole(now + within), id)
return 1
