-- Make outcomes final. ARGV 1 retention ms; then per job: id, fence, state, result or '', error or '', attempt, units to charge.
-- Idempotent for its own fence: a repeat after a lost reply answers 1 again.
-- Returns per job 1 done, 0 refused (fenced off, given back, canceled). A refused attempt of the same fence still joins the
-- trail, so that a late cost is on record, never in the state.
local answers = {}
for at = 2, #ARGV, 7 do
  local id, fence, state, result, failure = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local attempt, settled = ARGV[at + 5], tonumber(ARGV[at + 6])
  local job = read(id)
  if not job or job.fence ~= fence then
    answers[#answers + 1] = 0
  elseif job.state == 'running' then
    local fields = { 'attempts', tonumber(job.attempts or 0) + 1, 'attempt:' .. fence, attempt }
    if result ~= '' then fields[#fields + 1] = 'result'; fields[#fields + 1] = result end
    if failure ~= '' then fields[#fields + 1] = 'error'; fields[#fields + 1] = failure end
    finish(id, job, state, settled, ARGV[1], fields)
    answers[#answers + 1] = 1
  else
    redis.call('HSETNX', job_key(id), 'attempt:' .. fence, attempt)
    answers[#answers + 1] = job.state == state and 1 or 0
  end
end
return answers
