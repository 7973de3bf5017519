-- Send an event to one endpoint alone, whatever it wants to hear of. ARGV 1 endpoint, 2 account, 3 type, 4 event.
-- Returns the delivery's id, or why there is none: unknown | endpoint_disabled.
local seen = call('HMGET', endpoint_key(ARGV[1]), 'account', 'state')
if seen[1] ~= ARGV[2] then return 'unknown' end
if seen[2] ~= 'enabled' then return 'endpoint_disabled' end
deliver(ARGV[2], ARGV[1], ARGV[3], ARGV[4], ARGV[1], '')
ring_deliverers()
return 'dlv_' .. string.sub(ARGV[4], 5) .. '_' .. string.match(ARGV[1], '_(.+)$')
