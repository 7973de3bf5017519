-- Forget a batch whose lines were never read to their end; what lies of them in the store goes next. ARGV 1 id.
-- Returns 1, or 0 where it has begun.
local seen = call('HMGET', batch_key(ARGV[1]), 'state', 'account')
if seen[1] == 'validating' then drop_batch(ARGV[1], seen[2]) end
return (seen[1] == 'validating' or not seen[1]) and 1 or 0
