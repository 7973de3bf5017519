-- Put back entries of unfinished jobs that something threw out of the queue (a stock arq worker does). ARGV ids.
-- Returns the ids that were put back.
local healed = {}
for _, id in ipairs(ARGV) do
  if restore(id) then healed[#healed + 1] = id end
end
if #healed > 0 then ring() end
return healed
