-- Who waits for a permit, of an API key (`key:{key id}`) or of a provider. The latter wait in one lane for each list of routes
-- (`routes:{list}`), or at the route that has their upstream tasks (`tasks:{route}`): so one answer goes for all of a lane.
-- Each lane costs every claim a look, and callers can invent lists: an account that made its share of lanes has what else it
-- waits for in one for each first provider (`mixed:{provider}/{account}`), where its own jobs may stand in each other's way.
-- Who is back in its lane holds no permit yet: one too many is sent here again by the claim.
-- In `held:{key id}` wait jobs that may have been bought and whose key wants to be asked first: nothing wakes them (release.lua).
local function is_of_key(name) return string.sub(name, 1, 4) == 'key:' end
local function is_of_routes(name) return string.find(name, '^routes:') or string.find(name, '^tasks:') or string.find(name, '^mixed:') end

-- An entry without a record, or with one that is none, is set aside and reported; what it held goes back, as far as that can be
-- read. Returns whose it was.
local function discard(from, id)
  call('ZREM', from, id)
  call('ZADD', queue .. ':broken', now_text, id)
  if call('EXISTS', job_key(id)) == 0 then return end
  call('DECR', queue .. ':open')
  local seen = redis.pcall('HMGET', job_key(id), 'state', 'key_id', 'images', 'via', 'via2', 'units', 'batch')
  if seen.err or not seen[2] then return end
  call('HINCRBY', use_key(seen[2]), 'open', -1)
  local units = tonumber(seen[6] or 0) or 0
  if units > 0 then call('HINCRBY', use_key(seen[2]), 'reserved', whole(-units)) end
  if seen[1] == 'running' then
    call('HINCRBY', use_key(seen[2]), 'running', -1)
    for at = 4, 5 do
      if seen[at] then
        call('HINCRBY', gate_key(provider_of(seen[at])), 'running', -1)
        call('HINCRBY', gate_key(provider_of(seen[at])), 'images', -(tonumber(seen[3]) or 1))
      end
    end
  end
  local batch, line = string.match(seen[7] or '', '^(%S+) (%d+)$')
  if batch and call('SISMEMBER', batch_key(batch) .. ':open', line) == 1 then
    end_line(batch, line, 'failed')
    write_batches()
  end
  return seen[2]
end

local function send_on(from, id, job)
  call('ZREM', from, id)
  call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG], id)
  count(running, job[KEY_ID], 1)
end

-- Let as many of a key's jobs go on as it may run, lowest tag first.
local function wake_key(name)
  local from, woken = waiting(name), 0
  while woken < MOST_WOKEN do
    local id = call('ZRANGE', from, 0, 0)[1]
    if not id then break end
    local job = read(id, 'most_running')
    if not job then
      discard(from, id)
    else
      if not may_run(job) then break end
      send_on(from, id, job)
    end
    woken = woken + 1
  end
  if woken > 0 then ring() end
end

-- The route a job may call now; else nil, and the lane to wait in until when. With tasks under way upstream it is theirs, whatever
-- was said of it since. Both are nil where there is nobody to wait for. See `choose`.
local function way(routes, tasks, served, wants)
  local readable, kept = pcall(cjson.decode, tasks or '')
  kept = readable and type(kept) == 'table' and kept.route
  if type(kept) == 'string' and provider_of(kept) then
    local route, blocked, at = choose_again(kept, served, wants)
    if route or blocked then return route, blocked and 'tasks:' .. kept, at end
  end
  local route, blocked, at = choose(routes, served, wants)
  return route, blocked and 'routes:' .. routes, at
end

local lane_of, wake_called
do
  -- The name of the lane for a job of that account, where `name` is that of one for nothing else.
  local MOST_LANES, LANES_TTL_MS = 32, '86400000'
  function lane_of(name, account)
    if call('SISMEMBER', WAITS, name) == 1 then return name end
    local made = queue .. ':lanes:' .. account
    if call('SCARD', made) >= MOST_LANES then
      for _, other in ipairs(call('SMEMBERS', made)) do
        if call('SISMEMBER', WAITS, other) == 0 then call('SREM', made, other) end
      end
      if call('SCARD', made) >= MOST_LANES then
        return 'mixed:' .. provider_of(string.match(name, ':(.*)$')) .. '/' .. account
      end
    end
    call('SADD', made, name)
    call('PEXPIRE', made, LANES_TTL_MS)
    return name
  end

  -- The same for the first of a lane, and so for the others of it.
  local function way_of(name, served, head)
    local kind, routes = string.match(name, '^(%a+):(.*)$')
    if kind == 'tasks' then return choose_again(routes, served, head) end
    if kind == 'routes' then return choose(routes, served, head) end
    return way(head.routes, head.tasks, served, head)
  end

  -- One that may go on as far as its provider is concerned; its key may have run out of permits meanwhile.
  local function send_called(from, id, route)
    local job = read(id, 'most_running')
    if not job then
      discard(from, id)
    elseif may_run(job) then
      send_on(from, id, job)
      if route then expect(route, images_of(job)) end
    else
      call('ZREM', from, id)
      call('ZADD', waiting(permit_of(job[KEY_ID])), job[TAG], id)
      call('SADD', WAITS, permit_of(job[KEY_ID]))
    end
  end

  -- The first of a lane; nil when nobody is left in it.
  local function head_of(name)
    local id, tag = unpack(call('ZRANGE', waiting(name), 0, 0, 'WITHSCORES'))
    if not id then
      call('SREM', WAITS, name)
      return nil
    end
    local seen = redis.pcall('HMGET', job_key(id), 'images', 'routes', 'tasks')
    return { name = name, id = id, tag = tonumber(tag), images = tonumber(seen[1] or 1) or 1, routes = seen[2] or '',
      tasks = seen[3] }
  end

  -- Put one where it belongs among heads that stand with the lowest tag last.
  local function line_up(heads, head)
    local at = #heads + 1
    while at > 1 and heads[at - 1].tag < head.tag do at = at - 1 end
    table.insert(heads, at, head)
  end

  -- Let those go on whose providers take calls, lowest tag of all lanes first. Returns when the next may go, where a clock
  -- decides that. `served`: see `choose`.
  function wake_called(served)
    local heads, woken, soonest = {}, 0, nil
    for _, g in pairs(gates) do g.saved = nil end
    for _, name in ipairs(call('SMEMBERS', WAITS)) do
      if is_of_routes(name) then heads[#heads + 1] = head_of(name) end
    end
    table.sort(heads, function(a, b) return a.tag > b.tag end)
    while #heads > 0 and woken < MOST_WOKEN do
      local head = table.remove(heads)
      local route, blocked, at = way_of(head.name, served, head)
      if not blocked then
        send_called(waiting(head.name), head.id, route)
        local next_one = head_of(head.name)
        if next_one then line_up(heads, next_one) end
        woken = woken + 1
      elseif at and (not soonest or at < soonest) then
        soonest = at
      end
    end
    if woken > 0 then ring() end
    return soonest
  end
end

-- What was expected of those sent on is over: what follows counts for itself.
local function forget_expected()
  for _, g in pairs(gates) do g.woken, g.woken_images = 0, 0 end
  for _, h in pairs(healths) do h.woken = 0 end
  running = {}
end

-- Write what was gathered; then whoever waited for what became free goes on.
local function flush()
  for key, ids in pairs(removed) do
    local missing = #ids - in_parts('ZREM', key, ids)
    if missing > 0 and key == queue then leave_lanes(ids, missing) end
  end
  for key, list in pairs(scores) do in_parts('ZADD', key, list) end
  if opened ~= 0 then call('INCRBY', queue .. ':open', whole(opened)) end
  for account, rows_of in pairs(ledger) do
    for day, rows in pairs(rows_of) do
      local key = 'darkroom:usage:' .. account .. ':' .. day_of(day * DAY_MS)
      for key_id, sums in pairs(rows) do
        add_up(key, key_id .. ':', sums)
        if sums.units then count(use(key_id), used_in(day * DAY_MS), sums.units) end
        if sums.jobs then call('PEXPIRE', key, LEDGER_TTL_MS) end
      end
    end
  end
  for key_id, sums in pairs(uses) do add_up(use_key(key_id), '', sums) end
  if next(drawn) then
    local today = 'darkroom:popular:' .. day_of(now)
    for model, images in pairs(drawn) do
      local is_first = tonumber(call('ZINCRBY', today, whole(images), model)) == images
      if is_first then call('PEXPIRE', today, POPULAR_TTL_MS) end
    end
  end
  for flow, tag in pairs(tags) do call('SET', flow, whole(tag), 'PX', FLOW_TTL_MS) end
  if #finals > 0 then call('PUBLISH', 'darkroom:finals', table.concat(finals, '\n')) end
  write_gates()
  local is_whole, why = pcall(write_batches)
  if not is_whole then broken = broken or why end
  ring_deliverers()
  nudge_listeners()
  uses, running = {}, {}
  for key_id in pairs(left) do wake_key(permit_of(key_id)) end
  if next(freed) then wake_called() end
end

local restore
do
  -- Put back the entry of a job that is unfinished and has none; false when there is nothing to put back.
  local waits_read
  function restore(id)
    local job = read(id, 'due_ms', 'held')
    if not job or job[STATE] ~= 'queued' and job[STATE] ~= 'running' then return false end
    if call('ZSCORE', queue, id) or call('ZSCORE', BATCH, id) then return false end
    for k = 1, SUSPECT_LANES do
      if call('ZSCORE', suspects(k), id) then return false end
    end
    waits_read = waits_read or call('SMEMBERS', WAITS)
    for _, name in ipairs(waits_read) do
      if call('ZSCORE', waiting(name), id) then return false end
    end
    if job[STATE] == 'running' then
      call('ZADD', queue, whole(now + 10000), id) -- due soon: its worker, if it lives, renews it before that
    elseif job[ALSO + 1] then
      call('ZADD', waiting(hold_of(job[KEY_ID])), job[TAG], id)
      call('SADD', WAITS, hold_of(job[KEY_ID]))
    elseif job[ALSO] then
      call('ZADD', queue, job[ALSO], id)
    else
      call('ZADD', lane(job[PRIORITY], tonumber(job[INTERRUPTIONS] or 0)), job[TAG], id)
    end
    return true
  end
end
