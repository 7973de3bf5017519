-- Make outcomes final. ARGV 1 retention ms; then per job:
--   id, fence, state, result or '', error or '', attempt, images delivered, images asked for (reserved units are charged in that
--   part), the model that is counted as used or '', what the attempts say of their routes (see `hear`), the attempt that was
--   made beside it or '', what they cost (see `charge`)
-- Idempotent for its own fence: a repeat after a lost reply answers 1 again.
-- Returns per job 1 done, 0 refused (fenced off, given back, canceled). A refused attempt of the same fence still joins the
-- trail, so that a late cost is on record and in the ledger, never in the state.
local WIDTH = 12
local answers, done = {}, {}
local function commit(at)
  local id, fence, state, result, failure = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local attempt, delivered, asked = ARGV[at + 5], tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
  local job = not done[id] and read(id)
  if not job or job[FENCE] ~= fence then
    answers[#answers + 1] = 0
  elseif job[STATE] == 'running' then
    local settled = job[UNITS] and math.floor(tonumber(job[UNITS]) * delivered / asked) or 0
    local fields = { 'attempts', tonumber(job[ATTEMPTS] or 0) + 1, 'attempt:' .. fence, attempt }
    if failure ~= '' then fields[5], fields[6] = 'error', failure end
    if result ~= '' then fields[#fields + 1], fields[#fields + 2] = 'result', result end
    if ARGV[at + 10] ~= '' then
      fields[#fields + 1], fields[#fields + 2] = 'hedge:' .. fence, ARGV[at + 10]
    end
    if job[VIA] then hear(ARGV[at + 9]) end
    local tally = finish(id, job, state, settled, ARGV[1], unpack(fields))
    if delivered > 0 then count(tally, 'images', delivered) end
    if ARGV[at + 8] ~= '' then count(drawn, ARGV[at + 8], delivered) end
    charge(job, ARGV[at + 11])
    local batch = place_of(job)
    if batch then count(batch_sums(batch), 'images', delivered) end
    done[id] = true
    answers[#answers + 1] = 1
  else
    if call('HSETNX', job_key(id), 'attempt:' .. fence, attempt) == 1 then charge(job, ARGV[at + 11]) end
    if ARGV[at + 10] ~= '' then call('HSETNX', job_key(id), 'hedge:' .. fence, ARGV[at + 10]) end
    answers[#answers + 1] = job[STATE] == state and 1 or 0
  end
end
for at = 2, #ARGV, WIDTH do each(commit, at) end
flush()
return answered(answers)
