-- Let held jobs go on, each with a fresh tag. ARGV 1 account, then ids.
-- Returns per job 'released' | 'not_held' | 'unknown' (none, or somebody else's).
local answers = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local job = read(id, 'held')
  if not job or job[ACCOUNT] ~= ARGV[1] then
    answers[#answers + 1] = 'unknown'
  elseif job[STATE] ~= 'queued' or not job[ALSO] then
    answers[#answers + 1] = 'not_held'
  else
    local tag = whole(next_tag(flow_key(job[ACCOUNT], job[PRIORITY], 'retry'), tonumber(job[COST])))
    call('HSET', job_key(id), 'tag', tag)
    call('HDEL', job_key(id), 'held')
    if job[DEADLINE] then add(removed, 'darkroom:deadlines', id) end
    add(removed, waiting(hold_of(job[KEY_ID])), id)
    add(scores, lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), tag, id)
    tell_of_job(id, job, 'queued')
    answers[#answers + 1] = 'released'
  end
end
flush()
ring()
return answers
