-- Take a batch that wants its lines read, or more of them submitted. ARGV 1 name of who takes it, 2 ms until he speaks again.
-- Returns its id, or false: none wants anything just now.
local SOME = 16
local due
repeat
  due = call('ZRANGEBYSCORE', FEED, '-inf', now_text, 'LIMIT', 0, SOME)
  for _, id in ipairs(due) do
    local state = redis.pcall('HGET', batch_key(id), 'state')
    if state == 'validating' or state == 'in_progress' then
      call('ZADD', FEED, whole(now + tonumber(ARGV[2])), id)
      call('HSET', batch_key(id), 'feeder', ARGV[1])
      return id
    end
    if type(state) == 'table' then set_aside(id) else call('ZREM', FEED, id) end
  end
until #due < SOME
return false
