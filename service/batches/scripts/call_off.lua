-- Take lines of a batch that ends early out of the queue, held ones too; others that have begun go on. ARGV 1 batch, 2 retention ms
-- of jobs, then number and job id of each. Returns how many are over now.
local id = ARGV[1]
local word = ({ cancelling = 'canceled', expiring = 'expired' })[call('HGET', batch_key(id), 'state')]
if not word then return 0 end
local over = 0
for at = 3, #ARGV, 2 do
  local line, job_id = ARGV[at], ARGV[at + 1]
  local job = read(job_id, 'held')
  local goes_on = job and (job[STATE] == 'running' or job[STATE] == 'queued' and job[STARTED] and not job[ALSO])
  if job and job[STATE] == 'queued' and not goes_on then
    finish(job_id, job, word, 0, ARGV[2])
    over = over + 1
  elseif not goes_on and call('SISMEMBER', batch_key(id) .. ':open', line) == 1 then
    end_line(id, line, job and job[STATE] or 'failed') -- its end was lost, or somebody removed its record by hand
    over = over + 1
  end
end
flush()
return over
