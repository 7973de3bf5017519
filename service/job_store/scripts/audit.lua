-- How many unfinished jobs have no entry in any lane; below 0: entries without a job. Both counts are of one moment.
local entries = redis.call('ZCARD', queue) + redis.call('ZCARD', BATCH)
for k = 1, SUSPECT_LANES do entries = entries + redis.call('ZCARD', suspects(k)) end
return tonumber(redis.call('GET', queue .. ':open') or 0) - entries
