-- Drop what is left of ephemeral jobs that were delivered: where their images lie. ARGV ids. Cost and usage stay.
-- Returns per job 1 dropped, 0 not final or not ephemeral.
local answers = {}
for _, id in ipairs(ARGV) do
  local job = read(id, 'result')
  local is_over = job and job[STATE] ~= 'queued' and job[STATE] ~= 'running'
  if is_over and job[SHOWN] then
    local readable, result = pcall(cjson.decode, job[ALSO] or '{}')
    if readable and result.images then
      result.images = nil
      call('HSET', job_key(id), 'result', cjson.encode(result))
    end
  end
  if is_over or not job then call('ZREM', EPHEMERAL, id) end
  answers[#answers + 1] = is_over and job[SHOWN] and 1 or 0
end
return answers
