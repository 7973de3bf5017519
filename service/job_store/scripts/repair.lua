-- Put back entries of unfinished jobs that something threw out of the queue (a stock arq worker does). ARGV ids.
-- Returns the ids that were put back.
local healed, waits = {}, call('SMEMBERS', WAITS)
for _, id in ipairs(ARGV) do
  local job = read(id, 'due_ms', 'held')
  if job and (job[STATE] == 'queued' or job[STATE] == 'running') then
    local found = call('ZSCORE', queue, id) or call('ZSCORE', BATCH, id)
    for k = 1, SUSPECT_LANES do found = found or call('ZSCORE', suspects(k), id) end
    for _, name in ipairs(waits) do found = found or call('ZSCORE', waiting(name), id) end
    if not found then
      -- A running one is due soon: its worker, if it lives, renews it before that.
      if job[STATE] == 'running' then
        call('ZADD', queue, whole(now + 10000), id)
      elseif job[ALSO + 1] then
        call('ZADD', waiting(hold_of(job[KEY_ID])), job[TAG], id)
        call('SADD', WAITS, hold_of(job[KEY_ID]))
      elseif job[ALSO] then
        call('ZADD', queue, job[ALSO], id)
      else
        call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG], id)
      end
      healed[#healed + 1] = id
    end
  end
end
if #healed > 0 then ring() end
return healed
