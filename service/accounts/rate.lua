-- GCRA: the key holds the theoretical arrival time of the next request. ARGV 1 requests per window, 2 window in us.
-- Returns refused (0|1), how many more would pass now, us until all would pass, us until the next one passes.
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local step = window / limit
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = tat + step
local early = after - window - now
if early > 0 then return { 1, 0, math.ceil(tat - now), math.ceil(early) } end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil(window / 1000))
return { 0, math.floor((window - (after - now)) / step + 1e-6), math.ceil(after - now), 0 }
