-- End jobs that did not start before their deadline, or are held past it. ARGV 1 most, 2 retention ms. Returns the ids that expired.
local expired = {}
for _, id in ipairs(call('ZRANGEBYSCORE', 'darkroom:deadlines', '-inf', now_text, 'LIMIT', 0, tonumber(ARGV[1]))) do
  local job = read(id, 'held')
  if job and job[STATE] == 'queued' and (job[ALSO] or not job[STARTED]) then
    finish(id, job, 'expired', 0, ARGV[2])
    expired[#expired + 1] = id
  else
    call('ZREM', 'darkroom:deadlines', id)
  end
end
flush()
return expired
