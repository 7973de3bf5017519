-- Its lines are read: let the batch begin, or fail where none is sound. ARGV 1 id, 2 who holds it ('': the request that brought
-- its lines), 3 lines, 4 sound ones, 5 until when (Redis time in ms; '': always), as who asked hears of a failure behind that,
-- then field and value pairs of the record. Returns its fields, as HGETALL does; none where it is over, or somebody else reads it,
-- or it is too late.
local id, holder, total, sound, accept_until = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if accept_until and now > accept_until then return {} end
local key = batch_key(id)
local seen = call('HMGET', key, 'state', 'account', 'feeder')
if seen[1] ~= 'validating' or (seen[3] or '') ~= holder then return {} end
call('HSET', key, 'total', total, 'cursor', '0', unpack(ARGV, 6))
call('ZREM', OVER, id)
if sound == 0 then
  call('HSET', key, 'failed', total)
  end_batch(id, seen[2], 'failed')
else
  call('HSET', key, 'state', 'in_progress', 'in_progress_ms', now_text)
  call('HDEL', key, 'delays', 'crashes')
  call('SADD', active(seen[2]), id)
  call('ZADD', FEED, now_text, id)
  call('PUBLISH', FEED, id)
  tell_of_batch(seen[2], id, 'in_progress')
end
flush()
return call('HGETALL', key)
