-- Write an API key down unless its secret is known. KEYS 1 its record, 2 all keys; ARGV field and value pairs of the record,
-- the first of which is its id, behind the secret's hash. Returns the id under which the secret is known.
local known = redis.call('HGET', KEYS[1], 'id')
if known then return known end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
return ARGV[3]
