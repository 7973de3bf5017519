-- Write a batch down whose lines are still to be read. ARGV 1 id, 2 account, 3 kind, 4 ms until it expires, 5 retention ms,
-- 6 window, 7 the caller's name for it or '', 8 hash of what is asked for, 9 life of the name in ms, 10 ms within which whoever
-- reads the lines speaks again, then field and value pairs of the record.
-- Lines that come with a request are read by nobody else: who begins anew under the same name takes over from the reader before.
-- A batch that failed made nothing, so its name is free: what was wrong may have been the catalog.
-- Returns a code, an id and the fields of its record, as HGETALL does: made | joined | mismatch (without fields)
local id, account, kind, window, name = ARGV[1], ARGV[2], ARGV[3], ARGV[6], ARGV[7]
local name_key = NAMES .. account .. ':' .. name
local known = name ~= '' and call('GET', name_key)
if known then
  local earlier, hash = string.match(known, '^(%S+) (%S*)$')
  local state = call('HGET', batch_key(earlier), 'state')
  if state and hash ~= ARGV[8] then return { 'mismatch', earlier } end
  local is_cut = state == 'validating' and kind == 'native'
  if state and state ~= 'failed' and not is_cut then return { 'joined', earlier, call('HGETALL', batch_key(earlier)) } end
  if is_cut then drop_batch(earlier, account) end
end
local expires = whole(now + tonumber(ARGV[4]))
call('HSET', batch_key(id), 'state', 'validating', 'created_ms', now_text, 'expires_ms', expires, 'retention_ms', ARGV[5],
  'window', window, unpack(ARGV, 11))
if name ~= '' then
  call('SET', name_key, id .. ' ' .. ARGV[8], 'PX', ARGV[9])
  call('HSET', batch_key(id), 'name', name)
end
call('ZADD', LISTING .. account, now_text, id)
call('ZADD', EXPIRY, expires, id)
if kind == 'native' then
  call('ZADD', OVER, whole(now + tonumber(ARGV[10])), id)
else
  call('ZADD', FEED, now_text, id)
  call('PUBLISH', FEED, id)
end
return { 'made', id, call('HGETALL', batch_key(id)) }
