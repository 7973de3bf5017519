-- Delete an endpoint; what was on its way to it ends at the next look. ARGV 1 id, 2 account. Returns 1, or 0: there is none.
local id = ARGV[1]
if call('HGET', endpoint_key(id), 'account') ~= ARGV[2] then return 0 end
call('DEL', endpoint_key(id), target_key(id))
call('HDEL', 'darkroom:endpoints:' .. ARGV[2], id)
call('ZREM', 'darkroom:endpoints:' .. ARGV[2] .. ':all', id)
return 1
