r"""Limits of a queue in the scripts of its jobs: rates and concurrencies, over all workers.

``meta`` has the limits as JSON, sorted. One without a field is *wide*: it holds for the whole
queue. One by a field holds for each value of that field, the *key*: the value's JSON text, and
``null`` where there is none. A *bucket* is one limit for one key. A concurrency's bucket is the
range ``bucket \30 job`` of the sorted set ``places``, by names; a rate's is the list
``starts:bucket`` of the times of its last starts in microseconds, as many as the rate allows. So
no window of its length has more starts than that, wherever it begins.

Where limits have fields, jobs that may be claimed are found by their keys. Jobs with the same keys
for all fields are a *lane*. A job that begins to wait is in ``inbox`` until a claim looks at it;
then it starts, or joins its lane, the range ``lane \30 score \30 job`` of ``lanes``. A lane whose
buckets have room is in ``ready`` by its first job, others in ``blocked``, below the bucket that
has none. ``at`` has where each lane is. When a bucket has room again, its first lane is made
ready, and that lane's claim, or whatever else becomes of it, does so for the next one. ``room`` has
the times at which rates have room again. All jobs that wait are in ``wait`` as well.
"""

from __future__ import annotations

__all__ = ["KEYED", "PLACES", "REASONS", "SET"]

KEYED = """
local function enter(id, score)
  redis.call('ZADD', base .. ':wait', score, id)
  if redis.call('HEXISTS', base .. ':meta', 'keyed') == 1 then
    redis.call('ZADD', base .. ':inbox', score, id)
  end
end
"""

_RULES = r"""
local limits -- nil: not read, false: none
local budget = 1000 -- steps of a script at most
local micro = time[1] * 1000000 + time[2] + offset * 1000
local function use_limits(text)
  limits = text and {wide = {}, fields = {}} or false
  for _, rule in ipairs(text and cjson.decode(text) or {}) do
    rule.kind = (rule.rate and 'r' or 'c') .. rule.by
    if rule.by == '' then
      table.insert(limits.wide, {rule = rule, key = '', name = rule.kind .. '\31'})
    else
      local field = limits.fields[#limits.fields]
      if not field or field.by ~= rule.by then
        field = {by = rule.by, path = rule.path, rules = {}}
        table.insert(limits.fields, field)
      end
      table.insert(field.rules, rule)
    end
  end
end
local function read_limits()
  if limits == nil then use_limits(redis.call('HGET', base .. ':meta', 'limits')) end
  return limits
end
"""

# A value's JSON text is its key, so that whole numbers of any size are told apart.
_FIELDS = r"""
-- The place behind the JSON value that begins at a place.
local function after(text, at)
  local first = string.byte(text, at)
  if first == 34 then
    while true do
      at = string.find(text, '["\\]', at + 1)
      if string.byte(text, at) == 34 then return at + 1 end
      at = at + 1
    end
  elseif first == 123 or first == 91 then
    local depth = 0
    while true do
      at = string.find(text, '["{}%[%]]', at)
      local sign = string.byte(text, at)
      if sign == 34 then
        at = after(text, at)
      else
        depth = depth + ((sign == 123 or sign == 91) and 1 or -1)
        at = at + 1
        if depth == 0 then return at end
      end
    end
  end
  local _, last = string.find(text, '^[^,%]}%s]+', at)
  return last + 1
end
-- The place of the value of a name in the object that begins at a place.
local function member(text, at, name)
  if string.byte(text, at) ~= 123 then return end
  at = string.find(text, '%S', at + 1)
  while string.byte(text, at) == 34 do
    local last = after(text, at)
    local found = string.sub(text, at, last - 1) == name
    at = string.find(text, '%S', string.find(text, ':', last, true) + 1)
    if found then return at end
    at = string.find(text, '[^%s,]', after(text, at))
  end
end
local function key_in(message, path)
  local at = 1
  for _, name in ipairs(path) do
    at = member(message, at, name)
    if not at then return 'null' end
  end
  local key = string.sub(message, at, after(message, at) - 1)
  if #key > 200 or string.find(key, '%c') then return '#' .. redis.sha1hex(key) end
  return key
end
local function lane_of(message)
  local keys = {}
  for i, field in ipairs(limits.fields) do
    local read, key = pcall(key_in, message, field.path)
    keys[i] = read and key or 'null' -- another program's message is no JSON
  end
  return table.concat(keys, '\31')
end
"""

_BUCKETS = r"""
-- The buckets of a lane, without those of the whole queue.
local function buckets_of(lane)
  local found, i = {}, 0
  if #limits.fields == 0 then return found end
  for key in string.gmatch(lane .. '\31', '([^\31]*)\31') do
    i = i + 1
    for _, rule in ipairs(limits.fields[i].rules) do
      table.insert(found, {rule = rule, key = key, name = rule.kind .. '\31' .. key})
    end
  end
  return found
end
local function all_buckets_of(lane)
  local found = buckets_of(lane)
  for _, bucket in ipairs(limits.wide) do table.insert(found, bucket) end
  return found
end
local function range(name)
  return '[' .. name .. '\30', '(' .. name .. '\31'
end
-- Whether a bucket has room; of a rate that has none the time when it will, in microseconds; of a
-- concurrency how many places are taken.
local function has_room(bucket)
  local rule = bucket.rule
  if rule.concurrency then
    local from, to = range(bucket.name)
    local taken = redis.call('ZLEXCOUNT', base .. ':places', from, to)
    return taken < rule.concurrency, nil, taken
  end
  local oldest = redis.call('LINDEX', base .. ':starts:' .. bucket.name, -rule.rate)
  local at = oldest and oldest + rule.us
  return not at or at <= micro, at
end
-- A bucket of a lane that has no room, and when it will have; nil if all have.
local function full_bucket_of(lane)
  for _, bucket in ipairs(buckets_of(lane)) do
    local room, at = has_room(bucket)
    if not room then return bucket.name, at end
  end
end
local function alarm(name, at)
  redis.call('ZADD', base .. ':room', math.ceil(at / 1000), name)
  if redis.call('ZRANGE', base .. ':room', 0, 0)[1] == name then ring(1) end
end
-- Whether a limit of the whole queue has no room.
local function is_closed()
  for _, bucket in ipairs(limits.wide) do
    local room, at = has_room(bucket)
    if not room then
      if at and redis.call('EXISTS', base .. ':wait') == 1 then alarm(bucket.name, at) end
      return true
    end
  end
  return false
end
local function occupy(id, lane)
  for _, bucket in ipairs(all_buckets_of(lane)) do
    local rule = bucket.rule
    if rule.rate then
      local starts = base .. ':starts:' .. bucket.name
      local kept = redis.call('RPUSH', starts, string.format('%.0f', micro))
      if kept > rule.rate then redis.call('LTRIM', starts, -rule.rate, -1) end
      redis.call('PEXPIRE', starts, math.ceil(rule.us / 1000) + 1)
    else
      redis.call('ZADD', base .. ':places', 0, bucket.name .. '\30' .. id)
    end
  end
end
"""

_LANES = r"""
local function in_lane(lane, score, id)
  return lane .. '\30' .. string.format('%017.0f', score) .. '\30' .. id
end
local function first_of(lane)
  local from, to = range(lane)
  local found = redis.call('ZRANGEBYLEX', base .. ':lanes', from, to, 'LIMIT', 0, 1)[1]
  if not found then return end
  local score, id = string.match(found, '\30(%d+)\30(.*)$')
  return found, score, id
end
-- Puts a lane where it belongs now. Gives: whether it has jobs; the bucket that has no room.
local function place(lane)
  local at = redis.call('HGET', base .. ':at', lane)
  if at == '' then
    redis.call('ZREM', base .. ':ready', lane)
  elseif at then
    redis.call('ZREM', base .. ':blocked', at .. '\30' .. lane)
  end
  local found, score = first_of(lane)
  if not found then
    if at then redis.call('HDEL', base .. ':at', lane) end
    return false
  end
  local full, due = full_bucket_of(lane)
  if full then
    at = full .. '\30' .. score
    redis.call('HSET', base .. ':at', lane, at)
    redis.call('ZADD', base .. ':blocked', 0, at .. '\30' .. lane)
    if due then alarm(full, due) end
    return true, full
  end
  redis.call('HSET', base .. ':at', lane, '')
  redis.call('ZADD', base .. ':ready', score, lane)
  return true
end
-- Makes the first lane ready that waits for a bucket, if that has room.
local function kick(name)
  local from, to = range(name)
  while true do
    local first = redis.call('ZRANGEBYLEX', base .. ':blocked', from, to, 'LIMIT', 0, 1)[1]
    if not first then return end
    budget = budget - 1
    if budget < 0 then return alarm(name, micro) end
    local jobs_left, full = place(string.match(first, '\30%d+\30(.*)$'))
    if jobs_left and (not full or full == name) then return end
  end
end
-- Another lane may be claimed in the place of this one, which was claimed or is blocked by now.
local function kick_others(lane)
  if #limits.fields == 1 then return end -- each bucket has one lane
  for _, bucket in ipairs(buckets_of(lane)) do kick(bucket.name) end
end
local function ring_for_more()
  if is_closed() then return end
  local sets = {base .. ':wait'}
  if #limits.fields > 0 then sets = {base .. ':ready', base .. ':inbox'} end
  if redis.call('EXISTS', unpack(sets)) > 0 then ring(1) end
end
-- Gives back the places of a job that is not active now.
local function vacate(id, lane)
  if not lane or not read_limits() then return false end
  for _, bucket in ipairs(all_buckets_of(lane)) do
    if bucket.rule.concurrency then
      redis.call('ZREM', base .. ':places', bucket.name .. '\30' .. id)
      if bucket.rule.by ~= '' then kick(bucket.name) end
    end
  end
  return true
end
-- Takes a job that does not wait now from its lane.
local function unindex(id, score)
  if not read_limits() or #limits.fields == 0 then return end
  if redis.call('ZREM', base .. ':inbox', id) == 1 then return end
  local message = redis.call('HGET', jobs .. id, 'message')
  if not message then return end
  local lane = lane_of(message)
  redis.call('ZREM', base .. ':lanes', in_lane(lane, score, id))
  if redis.call('HEXISTS', base .. ':at', lane) == 0 then return end
  place(lane)
  kick_others(lane)
  ring_for_more()
end
-- Takes a job that was cancelled or removed out of the limits.
local function leave(id, state, score, lane)
  if state == 'wait' then
    unindex(id, score)
  elseif state == 'active' and vacate(id, lane) then
    ring_for_more()
  end
end
"""

PLACES = f"{_RULES}{_FIELDS}{_BUCKETS}{_LANES}"
"""Lua that counts by the limits of a queue; after `KEYED` and the beginning of a script."""

SET = r"""
local given, new, kept = cjson.decode(ARGV[2]), {}, {}
local function kind(rule) return (rule.rate and 'r' or 'c') .. rule.by end
for _, rule in ipairs(given) do new[kind(rule)] = true end
local former = redis.call('HGET', base .. ':meta', 'limits')
local dropped = 0
for _, rule in ipairs(former and cjson.decode(former) or {}) do
  if ARGV[1] == '*' or ARGV[1] == '=' .. rule.by then
    dropped = dropped + 1
  elseif not new[kind(rule)] then
    table.insert(kept, rule)
  end
end
for _, rule in ipairs(given) do table.insert(kept, rule) end
table.sort(kept, function(one, other)
  if one.by ~= other.by then return one.by < other.by end
  return kind(one) < kind(other)
end)
if #given == 0 and dropped == 0 then return {0, former} end
for _, set in ipairs({'inbox', 'lanes', 'ready', 'blocked', 'at', 'room', 'places'}) do
  redis.call('UNLINK', base .. ':' .. set)
end
redis.call('HDEL', base .. ':meta', 'limits', 'keyed')
local text = #kept > 0 and cjson.encode(kept)
if text then
  redis.call('HSET', base .. ':meta', 'limits', text)
  redis.call('SADD', ARGV[4], ARGV[3])
  use_limits(text)
  if #limits.fields > 0 then
    redis.call('HSET', base .. ':meta', 'keyed', '1')
    redis.call('ZUNIONSTORE', base .. ':inbox', 1, base .. ':wait')
  end
  -- The jobs that run already have places, too.
  for _, id in ipairs(redis.call('ZRANGE', base .. ':active', 0, -1)) do
    local message = redis.call('HGET', jobs .. id, 'message')
    if message then
      local lane = lane_of(message)
      redis.call('HSET', jobs .. id, 'lane', lane)
      for _, bucket in ipairs(all_buckets_of(lane)) do
        if bucket.rule.concurrency then
          redis.call('ZADD', base .. ':places', 0, bucket.name .. '\30' .. id)
        end
      end
    end
  end
end
ring(64)
return {dropped, text}
"""
"""Lua that changes the limits, after `PLACES`.

ARGV: ``*`` to remove all, ``=`` and a field to remove those by it, or empty; the limits to set, as
JSON; the queue and the queues' key. Gives: how many were removed; the limits now, or false.
"""

REASONS = r"""
local found = {}
read_limits()
for i, id in ipairs(ARGV) do
  local full, message = {}, limits and redis.call('HGET', jobs .. id, 'message')
  for _, bucket in ipairs(message and all_buckets_of(lane_of(message)) or {}) do
    local room, at, taken = has_room(bucket)
    if not room then
      local rule = bucket.rule
      table.insert(full, {rule.by, bucket.key, rule.rate or 0, rule.us or 0,
        rule.concurrency or 0, taken or 0, at and math.ceil(at / 1000) or 0})
    end
  end
  found[i] = full
end
return found
"""
"""Lua that tells which limits keep jobs from running, after `PLACES`.

ARGV: the ids of jobs. Gives for each the limits without room: field, key, rate, its microseconds,
concurrency, places taken, and when there is room in ms.
"""
