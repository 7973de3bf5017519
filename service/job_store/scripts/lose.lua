-- Note that images of a job are not in the store any more, so that it answers for no equal request. ARGV ids.
for _, id in ipairs(ARGV) do
  if call('EXISTS', job_key(id)) == 1 then call('HSET', job_key(id), 'lost', '1') end
end
return #ARGV
