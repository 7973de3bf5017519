-- A batch whose record cannot be worked with is reported, and keeps nobody from the others.
local function set_aside(id)
  call('ZREM', FEED, id)
  call('ZREM', EXPIRY, id)
  call('ZADD', queue .. ':broken', now_text, id)
end
