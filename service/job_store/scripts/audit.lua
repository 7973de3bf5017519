-- How many unfinished jobs have no entry in any lane; below 0: entries without a job. Both counts are of one moment.
local entries = call('ZCARD', queue) + call('ZCARD', BATCH)
for k = 1, SUSPECT_LANES do entries = entries + call('ZCARD', suspects(k)) end
return tonumber(call('GET', queue .. ':open') or 0) - entries
