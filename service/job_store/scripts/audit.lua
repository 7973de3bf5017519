-- How many unfinished jobs have no entry in any lane; below 0: entries without a job. Both counts are of one moment.
-- Before that, whoever waits for a permit that is free goes on: something may have thrown out the one it was meant for.
local entries = 0
wake_called()
for _, name in ipairs(call('SMEMBERS', WAITS)) do
  if is_of_key(name) then wake_key(name) end
  local still = call('ZCARD', waiting(name))
  if still == 0 then call('SREM', WAITS, name) end
  entries = entries + still
end
entries = entries + call('ZCARD', queue) + call('ZCARD', BATCH)
for k = 1, SUSPECT_LANES do entries = entries + call('ZCARD', suspects(k)) end
return tonumber(call('GET', queue .. ':open') or 0) - entries
