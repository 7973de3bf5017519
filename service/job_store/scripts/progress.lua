-- Note how far running jobs have come. ARGV per job: id, fence, progress (from 0 to 1, decimal text).
-- An attempt's progress only rises. Returns per job 1 noted, 0 no further than it was, or not ours any more.
local answers = {}
for at = 1, #ARGV, 3 do
  local id, fence, progress = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local job = read(id, 'progress')
  local ours = job and job[STATE] == 'running' and job[FENCE] == fence
  if ours and tonumber(progress) > (tonumber(job[ALSO] or 0) or 0) then
    call('HSET', job_key(id), 'progress', progress)
    local fields, batch = { 'job', id, 'state', 'running', 'progress', progress }, place_of(job)
    if batch then fields[7], fields[8] = 'batch', batch end
    tell(job[ACCOUNT], unpack(fields))
    announce(job[ACCOUNT], id, 'job.progress', job_key(id), job[NOTIFY], fence .. 'p' .. whole(progress * 1000))
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = 0
  end
end
flush()
return answers
