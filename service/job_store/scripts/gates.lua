-- Gates of providers and breakers of routes: what the whole fleet may call just now. Read once in a script, written by
-- `write_gates`. What only this file needs is kept inside, because a script has no more than 200 names.
local gates, healths, freed = {}, {}, {}
local gate, hear, choose, choose_again, enter, expect, leave_route, leave, write_gates

local function gate_key(name) return 'darkroom:gate:' .. name end
local function provider_of(route) return string.match(route, '^[^/]+') end
local function images_of(job) return tonumber(job[IMAGES] or 1) end

do
  -- Workers say every few seconds whom they can call. Who was not named lately is called by nobody just now, but waited for until
  -- it has been away for longer than a slow restart. After an outage, when nobody could say anything, each that ever was named is
  -- taken as served until all had time to speak.
  local SERVED_MS, AWAITED_MS, SPEAK_MS = 60000, 600000, 60000
  local spoken_by
  local function is_outage_recent()
    spoken_by = spoken_by or (tonumber(call('GET', queue .. ':grace') or 0) or 0) + SPEAK_MS
    return now < spoken_by
  end

  -- A provider's gate: how many calls are under way over the whole fleet, for how many images, and from when on it takes
  -- another.
  function gate(name)
    if not gates[name] then
      local seen = call('HMGET', gate_key(name), 'running', 'most', 'per_minute', 'closed_ms', 'next_ms', 'seen_ms', 'images',
        'most_images')
      local named = tonumber(seen[6] or 0)
      local is_known = named > 0 and is_outage_recent()
      gates[name] = { running = tonumber(seen[1] or 0), most = tonumber(seen[2]), per_minute = tonumber(seen[3]),
        closed = tonumber(seen[4] or 0), next = tonumber(seen[5] or 0), change = 0, woken = 0,
        images = tonumber(seen[7] or 0), most_images = tonumber(seen[8]), drawn = 0, woken_images = 0,
        served = is_known or now - named < SERVED_MS, awaited = is_known or now - named < AWAITED_MS }
    end
    return gates[name]
  end

  -- Calls per minute are spread over it, but for a second's worth at once (GCRA): no minute has more than it may.
  local function pace(g)
    local at_once = math.max(1, math.floor(g.per_minute / 60))
    return at_once, 60000 / (g.per_minute - at_once + 1)
  end

  -- Whether one more call may be under way; who wants more images than there may be at all has to be alone.
  local function has_room(g, images)
    if g.most and g.running + g.change + g.woken >= g.most then return false end
    local drawn = g.images + g.drawn + g.woken_images
    return not g.most_images or drawn <= 0 or drawn + images <= g.most_images
  end

  -- From when on the clock allows one more.
  local function paced(g)
    if not g.per_minute then return g.closed end
    local at_once, step = pace(g)
    return math.max(g.closed, math.max(g.next, now) + (g.woken - at_once + 1) * step)
  end

  -- From when on it takes one more call of `job` ({ images = .., tag = .. }), not before `from`; nil: when one that is under way
  -- has ended. Whoever finds too little room for his images has what becomes free saved for him, or those behind him who want
  -- less would go before him for ever.
  local function opens(g, job, from)
    local at = math.max(paced(g), from)
    local is_saved = g.saved and g.saved < job.tag
    if has_room(g, job.images) and not is_saved then return at end
    if at <= now and not is_saved and has_room(g, 1) then g.saved = job.tag end
  end

  -- A route's breaker: open after so many failures in a row, for longer each time; then one call at a time may try it.
  local FAILURES, FIRST_MS, LONGEST_MS, PROBE_MS, HEALTH_TTL_MS = 5, 5000, 60000, 60000, '86400000'
  local function health(route)
    if not healths[route] then
      local seen = call('HMGET', 'darkroom:route:' .. route, 'failures', 'opened_ms', 'probe_ms', 'prober')
      healths[route] = { failures = tonumber(seen[1] or 0), opened = tonumber(seen[2] or 0), probe = tonumber(seen[3] or 0),
        prober = seen[4], woken = 0 }
    end
    return healths[route]
  end

  local function trial(h)
    if h.failures < FAILURES then return 0 end
    return math.max(h.opened, h.probe, h.woken > 0 and now + PROBE_MS or 0)
  end

  -- What a call came to, as far as it speaks of its route: 'ok', 'fault', 'shut' (nothing will work for a while) or '-'.
  local function report(route, word)
    local h = health(route)
    if word == 'ok' and h.failures > 0 then
      h.failures, h.opened, h.probe, h.changed = 0, 0, 0, true
    elseif (word == 'fault' or word == 'shut') and now >= h.opened then -- those still under way when it opened say nothing new
      h.failures, h.probe, h.changed = h.failures + 1, 0, true
      if word == 'shut' then h.failures = math.max(h.failures, FAILURES) end
      if h.failures >= FAILURES then
        local step = FIRST_MS * 2 ^ math.min(h.failures - FAILURES, 10)
        h.opened = now + (word == 'shut' and LONGEST_MS or math.min(step, LONGEST_MS))
      end
    end
  end

  -- What a route's successful attempts take, the latest counting for a fifth.
  local SPEED_TTL_MS = '86400000'
  local function measure(route, ms)
    local key = 'darkroom:speed:' .. route
    local before = tonumber(call('GET', key) or ms)
    call('SET', key, string.format('%.1f', before + (ms - before) / 5), 'PX', SPEED_TTL_MS)
  end

  -- Take in what calls came to: of each a line 'word ms pause route', where the word is one of those above or '-', ms is what a
  -- success took or '-', and the pause that of its provider: for so many ms it takes no calls from anybody.
  function hear(reports)
    for word, ms, pause, route in string.gmatch(reports, '(%S+) (%S+) (%d+) ([^\n]+)') do
      report(route, word)
      if word == 'ok' and tonumber(ms) then measure(route, tonumber(ms)) end
      local g, closed = gate(provider_of(route)), now + tonumber(pause)
      if closed > math.max(now, g.closed) then g.closed, g.shut = closed, true end
    end
  end

  -- The first of `routes` (one a line) that may be called now. Else nil, whether there is somebody to wait for (a worker that
  -- serves one of them, or did lately), and until when (nil: until a call ends). `served` are the providers of who asks; nil: of the whole
  -- fleet. `job`: see `opens`.
  function choose(routes, served, job)
    local blocked, soonest = false, nil
    for route in string.gmatch(routes, '[^\n]+') do
      local name = provider_of(route)
      local g = gate(name)
      local ours = g.served
      if served then ours = served[name] end
      if ours then
        local at = opens(g, job, trial(health(route)))
        if at and at <= now then return route end
        if at and (not soonest or at < soonest) then soonest = at end
      end
      blocked = blocked or ours or g.awaited
    end
    return nil, blocked, soonest
  end

  -- The same for a route with tasks under way upstream: they are looked at whatever its breaker says.
  function choose_again(route, served, job)
    local name = provider_of(route)
    local g = gate(name)
    local ours = g.served
    if served then ours = served[name] end
    local at = ours and opens(g, job, 0)
    if at and at <= now then return route end
    return nil, ours or g.awaited, at or nil
  end

  -- A call begins; its job's end, or its return to the queue, is where it ends.
  function enter(route, job)
    local g, h = gate(provider_of(route)), health(route)
    g.change, g.drawn = g.change + 1, g.drawn + images_of(job)
    if g.per_minute then
      local _, step = pace(g)
      g.next, g.paced = math.max(g.next, now) + step, true
    end
    if h.failures >= FAILURES then h.probe, h.prober, h.changed = now + PROBE_MS, job.id, true end
  end

  -- One that waited is on its way to the next claim: nobody else is sent after it.
  function expect(route, images)
    local g = gate(provider_of(route))
    g.woken, g.woken_images = g.woken + 1, g.woken_images + images
    health(route).woken = 1
  end

  -- One that tried its route and came to nothing that speaks of it (a cancellation, a drain) lets the next one try; those that
  -- began before it broke say nothing.
  function leave_route(job, route)
    local name = provider_of(route)
    local g, h = gate(name), health(route)
    g.change, g.drawn = g.change - 1, g.drawn - images_of(job)
    if h.probe > now and (h.prober or job.id) == job.id then h.probe, h.changed = 0, true end
    freed[name] = true
  end

  -- All calls of a job are over.
  function leave(job)
    if job[VIA] then leave_route(job, job[VIA]) end
    if job[VIA2] then leave_route(job, job[VIA2]) end
  end

  function write_gates()
    for name, g in pairs(gates) do
      if g.change ~= 0 then call('HINCRBY', gate_key(name), 'running', whole(g.change)) end
      if g.paced then call('HSET', gate_key(name), 'next_ms', whole(g.next)) end
      if g.shut then call('HSET', gate_key(name), 'closed_ms', whole(g.closed)) end
      if g.drawn ~= 0 then call('HINCRBY', gate_key(name), 'images', whole(g.drawn)) end
      g.running, g.images = g.running + g.change, g.images + g.drawn
      g.change, g.drawn, g.paced, g.shut = 0, 0, false, false
      if g.running == 0 and g.images ~= 0 then -- begun by a version that did not count them
        call('HSET', gate_key(name), 'images', '0')
        g.images = 0
      end
    end
    for route, h in pairs(healths) do
      local key = 'darkroom:route:' .. route
      if h.changed and h.failures == 0 then
        call('DEL', key)
      elseif h.changed then
        call('HSET', key, 'failures', whole(h.failures), 'opened_ms', whole(h.opened), 'probe_ms', whole(h.probe),
          'prober', h.prober or '')
        call('PEXPIRE', key, HEALTH_TTL_MS)
      end
      h.changed = false
    end
  end
end
