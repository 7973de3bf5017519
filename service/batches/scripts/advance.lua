-- Lines were dealt with: jobs were made of them, but of those that are named here. ARGV 1 id, 2 who holds the batch, 3 ms until
-- he speaks again, 4 the first of the lines, 5 the one behind the last, then of each that failed its number, the id its job
-- would have, and the error (JSON; '': the stored line tells). Where somebody else made a job of one, that is what counts.
-- Returns how many more may be under way, or -1 where there is nothing to feed any more, or somebody else does.
local id, holder, within, from, to = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local key = batch_key(id)
local seen = call('HMGET', key, 'state', 'feeder', 'cursor', 'total', 'window')
if seen[1] ~= 'in_progress' or seen[2] ~= holder or seen[3] ~= from then return -1 end
local first, last, failure
local function note()
  if first and failure ~= '' then call('ZADD', key .. ':bad', last, cjson.encode({ first, failure })) end
end
for at = 6, #ARGV, 3 do
  local line, job, error = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if call('EXISTS', job_key(job), 'darkroom:gone:' .. job) == 0 then
    end_line(id, line, 'failed')
    if not first or error ~= failure or tonumber(line) ~= last + 1 then
      note()
      first, failure = tonumber(line), error
    end
    last = tonumber(line)
  end
end
note()
call('HSET', key, 'cursor', to)
if to ~= from then call('HDEL', key, 'delays', 'crashes') end
call('ZADD', FEED, whole(now + within), id)
if not ending[id] then ending[id] = { lines = {}, sums = {} } end
flush()
if call('HGET', key, 'state') ~= 'in_progress' then return -1 end
return tonumber(seen[5]) - call('SCARD', key .. ':open')
