-- Forget a batch whose lines were never read to their end; what lies of them in the store goes next. ARGV 1 id.
-- Returns 1, or 0 where it has begun, or is gone.
local seen = call('HMGET', batch_key(ARGV[1]), 'state', 'account')
if seen[1] ~= 'validating' then return 0 end
drop_batch(ARGV[1], seen[2])
return 1
