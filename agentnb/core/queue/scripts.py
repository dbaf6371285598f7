"""The steps of a job's life, each at once, as Lua on the server, by the server's clock.

A queue's keys are named after its base, ``KEYS[1]``: sorted sets ``wait`` (by priority, then
order), ``delayed`` (by when due), ``active`` (by the end of the lease), ``completed``, ``failed``
and ``cancelled`` (by when they ended); beside each of these three a set for each number of jobs to
keep (by when they may be removed); ``meta`` with the order, the totals and whether it is paused;
``key:`` and an idempotency key, the record of its job; ``bell``, a list on which idle workers wait.
A job is a hash at ``KEYS[2]`` and its id, in the same slot of a cluster. Earlier code kept the keys
of jobs in a hash, ``unique``.

The last argument of a script is the offset of the hub's clock in ms. ``now``, by which jobs are
due and their times recorded, is ahead of the server's ``clock`` by it; leases and heartbeats go
by the latter.

Each claim of a job has an entry, a number that is never used again for that job, not by a retry
or a release. A worker's step counts only while the job is active and its owner and entry are the
ones of the claim. The attempt is another number: it counts against the job's attempts, and starts
again at 1 when the job is retried.
"""

from __future__ import annotations

from agentnb.core.queue import limit_scripts
from agentnb.core.queue.claim_scripts import NEXT
from agentnb.core.queue.limit_scripts import KEYED, PLACES
from agentnb.core.redis.script import Script

__all__ = [
    "ADD",
    "ADD_MANY",
    "BEGIN",
    "CANCEL",
    "CLAIM",
    "JOBS",
    "LIMIT",
    "MOST_PRIORITY",
    "NOTE",
    "PARTS",
    "PULSE",
    "REASONS",
    "REMOVE",
    "RENEW",
    "REQUEUE",
    "SHOW",
    "TOUCH",
    "WAIT",
    "finish",
]

MOST_PRIORITY = 2**19 - 1

_BEGIN = """
local base, jobs = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local offset = table.remove(ARGV)
local now = clock + offset
local moment = time[1] * 1000 + time[2] / 1000 + offset -- no two jobs end at the same one
local function ring(times)
  local there = redis.call('LLEN', base .. ':bell')
  for _ = there + 1, math.min(there + times, 64) do
    redis.call('LPUSH', base .. ':bell', '1')
  end
end
"""

# A job that runs in another process than its worker has a field ``begun``: the entry, when that
# was, when it counts as silent, and by whom.
_PULSE = """
local function pulse(begun, entry)
  if not begun then return end
  local of, at, until_, by = string.match(begun, '^(%d+) (%d+) (%d+) (.*)$')
  if of == entry then return clock - at, until_ - clock, by end
end
local function holds(id, owner, entry)
  local fields = redis.call('HMGET', jobs .. id, 'owner', 'entry', 'begun', 'message', 'attempt',
    'deaths')
  local held = fields[4] and fields[1] == owner and (fields[2] or '0') == entry
  return held and redis.call('ZSCORE', base .. ':active', id), fields
end
"""

# Order within a priority: 2^33 jobs before and behind the first; exact in a double.
_WAIT = f"""{KEYED}
local function wait(id, priority, lifo)
  local order = redis.call('HINCRBY', base .. ':meta', 'order', 1)
  if lifo then order = -order end
  enter(id, priority * 17179869184 + 8589934592 + order)
end
local function wait_again(id)
  local fields = redis.call('HMGET', jobs .. id, 'priority', 'lifo')
  wait(id, tonumber(fields[1] or 0), fields[2])
end
-- A job that is released or reclaimed keeps its order, and so runs before the backlog.
local function wait_as_before(id)
  local order = redis.call('HGET', jobs .. id, 'order')
  if order then enter(id, order) else wait_again(id) end
end
-- Jobs that are due in the same millisecond run in the order in which they were delayed.
local function put_off(id, due)
  local last = redis.call('ZREVRANGEBYSCORE', base .. ':delayed', string.format('(%d', due + 1),
    due, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  redis.call('ZADD', base .. ':delayed', last and last + 1 / 4096 or due, id)
  redis.call('HSET', jobs .. id, 'due', due)
  if redis.call('ZRANGE', base .. ':delayed', 0, 0)[1] == id then ring(1) end
end
"""

_DROP = """
local function drop(id)
  local unique = redis.call('HGET', jobs .. id, 'unique')
  if unique then redis.call('HDEL', base .. ':unique', unique) end
  redis.call('UNLINK', jobs .. id, jobs .. id .. ':log')
end
"""

# The record of a key is kept while its job has not ended, and then for the time that it holds.
_KEY = """
local function record_of(id, key)
  local record = base .. ':key:' .. key
  local found = redis.call('HMGET', record, 'id', 'ttl')
  if found[1] == id then return record, found[2] end
end
local function end_key(id, key, state)
  local record, ttl = record_of(id, key)
  if not record then return end
  redis.call('HSET', record, 'state', state)
  redis.call('PEXPIRE', record, ttl)
end
"""

# A batch is a hash at ``batch:`` and its id; beside it the lists and hashes below. All of them are
# kept while one of its jobs is open, and then for the time that the batch asks for. A job of a
# batch has the batch's id, a dot and the number of its item as its id. Its outcome is kept with the
# batch, and where it did not complete its message too, from which it can be run again.
_BATCH = """
local function batch_keys(batch)
  local key = base .. ':batch:' .. batch
  return {key, key .. ':pieces', key .. ':results', key .. ':messages', key .. ':ended',
    key .. ':done'}
end
local function keep_batch(batch, ms)
  local keys = batch_keys(batch)
  local key = redis.call('HGET', keys[1], 'key')
  if key then table.insert(keys, base .. ':batchkey:' .. key) end
  for _, one in ipairs(keys) do
    if ms then redis.call('PEXPIRE', one, ms) else redis.call('PERSIST', one) end
  end
end
local function all_ended(batch)
  local key = base .. ':batch:' .. batch
  redis.call('XADD', key .. ':done', 'MAXLEN', 1, '*', 'n', 1)
  keep_batch(batch, redis.call('HGET', key, 'ttl'))
end
-- Those that completed are the rest of those that ended, and are not counted.
local function settle(id, batch, set, value)
  local key, number = base .. ':batch:' .. batch, string.match(id, '%d+$')
  local total = redis.call('HGET', key, 'total')
  if not total then return end
  redis.call('HSET', key .. ':results', number, set .. ' ' .. value)
  if set ~= 'completed' then
    redis.call('HSET', key .. ':messages', number, redis.call('HGET', jobs .. id, 'message'))
    redis.call('HINCRBY', key, set, 1)
  end
  redis.call('XADD', key .. ':ended', '*', 'n', number)
  if redis.call('HINCRBY', key, 'ended', 1) >= tonumber(total) then all_ended(batch) end
end
-- A job is run again: its outcome is not known yet.
local function unsettle(batch, number)
  local key = base .. ':batch:' .. batch
  local outcome = redis.call('HGET', key .. ':results', number)
  if not outcome then return end
  redis.call('HDEL', key .. ':results', number)
  if redis.call('HDEL', key .. ':messages', number) == 1 then
    redis.call('HINCRBY', key, string.match(outcome, '^%a+'), -1)
  end
  redis.call('HINCRBY', key, 'ended', -1)
  keep_batch(batch)
end
"""

# A job that has ended is removed once as many newer ones have ended as it asked for, and it may be
# removed: its result was read, or is old. So the options of one job never remove another. Jobs that
# ask for the same number share a set, of which only the first may be due; what was removed or
# retried meanwhile is taken from that set when it is found.
_RETAIN = f"""
{_DROP}{_KEY}{_BATCH}
local function trim(set, keep, most)
  local all, group = base .. ':' .. set, base .. ':' .. set .. ':' .. keep
  local size = redis.call('ZCARD', all)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', group, '-inf', moment, 'LIMIT', 0, 20)) do
    local rank = redis.call('ZRANK', all, id)
    if rank and size - rank <= keep then break end
    redis.call('ZREM', group, id)
    if rank then
      redis.call('ZREM', all, id)
      drop(id)
      size = size - 1
    end
  end
  local over = redis.call('ZCARD', group) - most
  if over <= 0 then return end
  for _, id in ipairs(redis.call('ZRANGE', group, 0, math.min(over, 20) - 1)) do
    redis.call('ZREM', group, id)
    if redis.call('ZREM', all, id) == 1 then drop(id) end
  end
end
local function retain(set, id, key, keep, seconds, most)
  redis.call('HINCRBY', base .. ':meta', set, 1)
  if key then end_key(id, key, set) end
  keep = tonumber(keep)
  if keep == 0 then return drop(id) end
  redis.call('ZADD', base .. ':' .. set, moment, id)
  if keep < 0 then return end
  redis.call('HSET', jobs .. id, 'keep', keep)
  redis.call('ZADD', base .. ':' .. set .. ':' .. keep, moment + seconds * 1000, id)
  trim(set, keep, tonumber(most))
end
"""

# Tells those who wait for a job's result.
_TELL = """
local function tell(id, waiters, outcome)
  if not waiters then return end
  for _ = 1, tonumber(waiters) do redis.call('RPUSH', jobs .. id .. ':done', outcome) end
  redis.call('PEXPIRE', jobs .. id .. ':done', 60000)
  redis.call('HDEL', jobs .. id, 'waiters')
end
"""

_STATE = """
local function state_of(id)
  for _, set in ipairs({'wait', 'active', 'completed', 'delayed', 'failed', 'cancelled'}) do
    local score = redis.call('ZSCORE', base .. ':' .. set, id)
    if score then return set, score end
  end
  return 'gone', 0
end
"""

# Gives: the id of the job; or of another job that has the key its id, the digest and the data in
# short (false if earlier code added it), the state in which it has ended or false. Safe to repeat.
_ADDING = f"""{_BEGIN}{_WAIT}{_STATE}
local function add(id, message, priority, delay, lifo, queue, attempts, key, ttl, digest, data)
  local job = jobs .. id
  if redis.call('EXISTS', job) == 1 then return {{id}} end
  if key then
    local record = base .. ':key:' .. key
    local found = redis.call('HMGET', record, 'id', 'digest', 'data', 'state')
    if found[1] then
      -- Its end was not noted: by earlier code, or since another program has deleted it.
      if redis.call('EXISTS', jobs .. found[1]) == 0 and redis.call('PTTL', record) < 0 then
        redis.call('PEXPIRE', record, ttl)
      end
      return found[1] == id and {{id}} or found
    end
    local former = redis.call('HGET', base .. ':unique', key)
    if former and redis.call('EXISTS', jobs .. former) == 1 then
      local state = state_of(former)
      local ended = state == 'completed' or state == 'failed' or state == 'cancelled'
      return {{former, false, false, ended and state}}
    end
    redis.call('HSET', record, 'id', id, 'ttl', ttl, 'digest', digest, 'data', data)
    redis.call('HSET', job, 'key', key)
  end
  redis.call('HSET', job, 'queue', queue, 'message', message, 'created', now)
  if priority ~= 0 then redis.call('HSET', job, 'priority', priority) end
  if lifo then redis.call('HSET', job, 'lifo', 1) end
  if attempts ~= '3' then redis.call('HSET', job, 'attempts', attempts) end
  if delay > 0 then
    put_off(id, now + delay)
  else
    wait(id, priority, lifo)
    ring(1)
  end
  return {{id}}
end
"""

# ARGV: id, message, priority, delay in ms, 1 for last in first out, queue, queues' key, attempts;
# then for a job with an idempotency key that, ms to keep it, a digest of the data, the data in
# short. Gives: what `add` gives.
ADD = Script(f"""{_ADDING}
redis.call('SADD', ARGV[7], ARGV[6])
return add(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1', ARGV[6],
  ARGV[8], unpack(ARGV, 9))
""")

# ARGV: queue, queues' key, 1 for last in first out, attempts, how many arguments each job has; then
# for each job its id, message, priority, delay in ms; and where there are 8 its key or empty, ms to
# keep it, a digest of the data, the data in short.
# Gives: what `add` gives, for each.
ADD_MANY = Script(f"""{_ADDING}
redis.call('SADD', ARGV[2], ARGV[1])
local width, added = tonumber(ARGV[5]), {{}}
for i = 6, #ARGV, width do
  local key = width > 4 and ARGV[i + 4] ~= '' and ARGV[i + 4] or nil
  table.insert(added, add(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]),
    ARGV[3] == '1', ARGV[1], ARGV[4], key, ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]))
end
return added
""")

# ARGV: owner, lease in ms. Gives: what `claim` gives.
CLAIM = Script(f"""{_BEGIN}{_WAIT}{NEXT}
return claim(ARGV[1], ARGV[2])
""")

# ARGV: id, owner, entry, where to (completed, failed, cancelled, delayed, wait), result or error,
# how many to keep there or -1 for all, for how many seconds at least, how many at most, ms of
# delay,
# why the attempt is not counted (released, died) or empty, the lease in ms of the next job or empty
# for none; then the arguments of an event (or none), whose log is KEYS[3].
# Gives: whether it counted: 1, 0 if another has the job, 2 if the job is gone; the event's place;
# the next job as `claim` gives it. Safe to repeat: a job that is claimed twice over is released by
# its worker.
_FINISH = """
{publish}
{begin}{wait}{retain}{tell}{next}
local freed = false
local function finish(id, owner, entry, set, value, keep, seconds, most, delay, uncounted)
  local job = jobs .. id
  local fields = redis.call('HMGET', job, 'owner', 'entry', 'waiters', 'message', 'deaths',
    'key', 'lane', 'begun', 'batch')
  if not fields[4] then return 2 end
  if fields[1] ~= owner or (fields[2] or '0') ~= entry then return 0 end
  -- Not active: it was finished like this and the answer was lost, or it was taken from it.
  if redis.call('ZREM', base .. ':active', id) == 0 then
    return redis.call('ZSCORE', base .. ':' .. set, id) and 3 or 0
  end
  freed = vacate(id, fields[7])
  local unkept = string.sub(value, 1, 1) == '!'
  local name = set == 'completed' and (unkept and 'unkept' or 'result') or 'error'
  if value ~= '' then redis.call('HSET', job, name, value, 'finished', now) end
  if fields[8] then redis.call('HDEL', job, 'begun') end
  if uncounted ~= '' then redis.call('HINCRBY', job, 'attempt', -1) end
  if uncounted == 'died' then
    redis.call('HINCRBY', job, 'deaths', 1)
  elseif uncounted == '' and fields[5] then
    redis.call('HDEL', job, 'deaths')
  end
  if set == 'wait' then
    wait_as_before(id)
    ring(1)
  elseif set == 'delayed' then
    put_off(id, now + delay)
  else
    tell(id, fields[3], set .. ' ' .. value)
    -- A result that somebody waits for is read by that; that of a batch is kept with it.
    if set == 'completed' and (fields[3] or fields[9]) then seconds = 0 end
    if fields[9] then settle(id, fields[9], set, value) end
    retain(set, id, fields[6], keep, seconds, most)
  end
  return 1
end
local counts, place = finish(unpack(ARGV, 1, 10)), false
if counts == 1 and #ARGV > 11 then place = agentnb_publish(KEYS[3], unpack(ARGV, 12)) end
local following = ARGV[11] ~= '' and claim(ARGV[2], ARGV[11])
if freed and not (following and following[1]) then ring_for_more() end
return {{counts, place, following}}
"""


def finish(publish: str) -> Script:
    """Return the script that ends an attempt.

    Parameters
    ----------
    publish
        Lua that defines ``agentnb_publish``; empty where there is no event bus.
    """
    parts = {"begin": _BEGIN, "wait": _WAIT, "retain": _RETAIN, "tell": _TELL, "next": NEXT}
    return Script(_FINISH.format(publish=publish, **parts))


# ARGV: owner, lease in ms, workers' key, the description of the worker or empty, then pairs of id
# and entry that run here.
# Gives: the ids and entries that are lost; id, owner, attempt, ms left, entry, attempts, deaths and
# whether the owner shares its process, of all other active jobs; in how many ms a delayed one is
# due or a rate has room, or -1; id, entry, ms since its begin, ms until it counts as silent and by
# whom it was begun, of each job that runs here and was begun in another process; in how many ms a
# schedule is due, or -1.
RENEW = Script(f"""{_BEGIN}{_PULSE}
local lost, others, mine, shares, pulses = {{}}, {{}}, {{}}, {{}}, {{}}
local function shared(owner)
  if not owner then return 0 end
  if not shares[owner] then
    local about = redis.call('HGET', ARGV[3], owner)
    shares[owner] = about and string.find(about, '"shared":true', 1, true) and 1 or 0
  end
  return shares[owner]
end
for i = 5, #ARGV, 2 do
  local id, entry = ARGV[i], ARGV[i + 1]
  local fields = redis.call('HMGET', jobs .. id, 'owner', 'entry', 'begun')
  local ends = redis.call('ZSCORE', base .. ':active', id)
  if not ends or fields[1] ~= ARGV[1] or (fields[2] or '0') ~= entry then
    table.insert(lost, {{id, entry}})
  else
    mine[id] = true
    local age, left, by = pulse(fields[3], entry)
    if age then table.insert(pulses, {{id, entry, age, left, by}}) end
    -- The second: the server's clock has been put back.
    if ends - clock < ARGV[2] * 2 / 3 or ends - clock > ARGV[2] + 1000 then
      redis.call('ZADD', base .. ':active', clock + ARGV[2], id)
    end
  end
end
local active = redis.call('ZRANGE', base .. ':active', 0, 999, 'WITHSCORES')
for i = 1, #active, 2 do
  if not mine[active[i]] then
    local fields = redis.call('HMGET', jobs .. active[i], 'owner', 'attempt', 'entry', 'attempts',
      'deaths')
    table.insert(others, {{active[i], fields[1], fields[2], active[i + 1] - clock, fields[3],
      fields[4], fields[5], shared(fields[1])}})
  end
end
if ARGV[4] ~= '' then redis.call('HSET', ARGV[3], ARGV[1], clock .. ' ' .. ARGV[4]) end
local next = redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2]
local room = redis.call('ZRANGE', base .. ':room', 0, 0, 'WITHSCORES')[2]
if room and (not next or tonumber(room) < tonumber(next)) then next = room end
local fires = redis.call('ZRANGE', base .. ':schedules', 0, 0, 'WITHSCORES')[2]
if redis.call('HEXISTS', base .. ':meta', 'paused') == 1 then next, fires = nil, nil end
if fires == 'inf' then fires = nil end
return {{lost, others, next and math.max(math.floor(next) - now, 0) or -1, pulses,
  fires and math.max(fires - now, 0) or -1}}
""")

# ARGV: id, owner, entry, by whom it is begun, ms until it counts as silent.
# Gives: the message, the attempt, the deaths in a row; 0 if another has the job, 1 if it was begun
# before. Safe to repeat.
BEGIN = Script(f"""{_BEGIN}{_PULSE}
local held, fields = holds(ARGV[1], ARGV[2], ARGV[3])
if not held then return {{0}} end
local age, _, by = pulse(fields[3], ARGV[3])
if age and by ~= ARGV[4] then return {{1}} end
redis.call('HSET', jobs .. ARGV[1], 'begun',
  table.concat({{ARGV[3], clock, clock + ARGV[5], ARGV[4]}}, ' '))
return {{fields[4], fields[5], fields[6]}}
""")

# ARGV: id, owner, entry, ms until it counts as silent. Gives: whether the claim holds.
TOUCH = Script(f"""{_BEGIN}{_PULSE}
local held, fields = holds(ARGV[1], ARGV[2], ARGV[3])
local age, _, by = pulse(fields[3], ARGV[3])
if not held or not age then return 0 end
redis.call('HSET', jobs .. ARGV[1], 'begun',
  table.concat({{ARGV[3], clock - age, clock + ARGV[4], by}}, ' '))
return 1
""")

# ARGV: id, owner, entry. Gives: ms since its begin, ms until it counts as silent, by whom it was
# begun; nothing if it was not.
PULSE = Script(f"""{_BEGIN}{_PULSE}
local held, fields = holds(ARGV[1], ARGV[2], ARGV[3])
if held then return {{pulse(fields[3], ARGV[3])}} end
return {{}}
""")

# ARGV: id, owner, entry, the progress (or empty), a line of the log (or empty), lines to keep.
# The first line of an attempt has a mark in front of it: U+001E and the attempt's number.
# Gives: whether it counted.
NOTE = Script("""
local job = KEYS[2] .. ARGV[1]
if redis.call('EXISTS', job) == 0 then return 0 end
if ARGV[2] ~= '' then
  local fields = redis.call('HMGET', job, 'owner', 'entry', 'attempt', 'logged')
  if fields[1] ~= ARGV[2] or (fields[2] or '0') ~= ARGV[3] then return 0 end
  if not redis.call('ZSCORE', KEYS[1] .. ':active', ARGV[1]) then return 0 end
  if ARGV[5] ~= '' and fields[4] ~= ARGV[3] then
    redis.call('RPUSH', job .. ':log', '\\30' .. fields[3])
    redis.call('HSET', job, 'logged', ARGV[3])
  end
end
if ARGV[4] ~= '' then redis.call('HSET', job, 'progress', ARGV[4]) end
if ARGV[5] ~= '' then
  redis.call('RPUSH', job .. ':log', ARGV[5])
  redis.call('LTRIM', job .. ':log', -ARGV[6], -1)
end
return 1
""")

# ARGV: id, then the names of fields, or none for all. Gives: its state, that state's score,
# whether the queue is paused, the server's clock in ms, the fields of its hash.
SHOW = Script(f"""{_BEGIN}{_STATE}
local state, score = state_of(ARGV[1])
local paused = redis.call('HEXISTS', base .. ':meta', 'paused')
local fields = {{}}
if #ARGV == 1 then
  fields = redis.call('HGETALL', jobs .. ARGV[1])
else
  local found = redis.call('HMGET', jobs .. ARGV[1], unpack(ARGV, 2))
  for i = 2, #ARGV do
    if found[i - 1] then
      table.insert(fields, ARGV[i])
      table.insert(fields, found[i - 1])
    end
  end
end
return {{state, score, paused, now, fields}}
""")

# ARGV: state, how many, from which, 1 for the newest first.
# Gives: paused, clock, then id, score and fields of each.
JOBS = Script(f"""{_BEGIN}
local from, to = tonumber(ARGV[3]), ARGV[3] + ARGV[2] - 1
local read = ARGV[4] == '1' and 'ZREVRANGE' or 'ZRANGE'
local found = redis.call(read, base .. ':' .. ARGV[1], from, to, 'WITHSCORES')
local all = {{redis.call('HEXISTS', base .. ':meta', 'paused'), now}}
for i = 1, #found, 2 do
  table.insert(all, {{found[i], found[i + 1], redis.call('HGETALL', jobs .. found[i])}})
end
return all
""")

# ARGV: id, how many more wait for it: 1, 0 to wait on, -1 to leave.
# Gives: completed, failed or cancelled and the result or error; false if it has not ended.
WAIT = Script(f"""{_BEGIN}{_STATE}
local state, ended = state_of(ARGV[1])
if state == 'completed' then
  local kept = redis.call('HMGET', jobs .. ARGV[1], 'result', 'unkept', 'keep')
  -- It was read, so that it may be removed.
  if kept[3] then
    redis.call('ZADD', base .. ':completed:' .. kept[3], 'XX', ended, ARGV[1])
  end
  return {{state, kept[1] or kept[2]}}
elseif state == 'failed' or state == 'cancelled' then
  return {{state, redis.call('HGET', jobs .. ARGV[1], 'error')}}
elseif state == 'gone' then
  return {{state, false}}
end
if redis.call('HINCRBY', jobs .. ARGV[1], 'waiters', ARGV[2]) <= 0 then
  redis.call('HDEL', jobs .. ARGV[1], 'waiters')
end
return {{false, false}}
""")

# ARGV: id, 1 to take it from a worker. Gives: the state that it had. Its key can be used again,
# unless the work was done.
REMOVE = Script(f"""{_BEGIN}{_STATE}{_DROP}{_KEY}{_BATCH}{_TELL}{PLACES}
local open = {{wait = true, delayed = true, active = true}}
local state, score = state_of(ARGV[1])
if state == 'gone' or (state == 'active' and ARGV[2] ~= '1') then return state end
redis.call('ZREM', base .. ':' .. state, ARGV[1])
local fields = redis.call('HMGET', jobs .. ARGV[1], 'waiters', 'key', 'lane', 'batch')
leave(ARGV[1], state, score, fields[3])
tell(ARGV[1], fields[1], 'removed ')
if fields[4] and open[state] then
  settle(ARGV[1], fields[4], 'cancelled', '{{"error":"removed"}}')
end
local record = state ~= 'completed' and fields[2] and record_of(ARGV[1], fields[2])
if record then redis.call('UNLINK', record) end
drop(ARGV[1])
return state
""")

_AGAIN = f"""{_BEGIN}{_STATE}{_WAIT}{_KEY}{_BATCH}
local function again(id, state)
  redis.call('ZREM', base .. ':' .. state, id)
  redis.call('HDEL', jobs .. id, 'result', 'unkept', 'error', 'finished', 'progress', 'owner',
    'order')
  redis.call('UNLINK', jobs .. id .. ':done')
  local fields = redis.call('HMGET', jobs .. id, 'key', 'batch')
  local record = fields[1] and record_of(id, fields[1])
  if record then
    redis.call('HDEL', record, 'state')
    redis.call('PERSIST', record)
  end
  if fields[2] then unsettle(fields[2], string.match(id, '%d+$')) end
  if state ~= 'delayed' then redis.call('HDEL', jobs .. id, 'attempt') end
  redis.call('HSET', jobs .. id, 'due', now)
  wait_again(id)
  ring(1)
end
"""

# ARGV: id. From delayed, completed, failed or cancelled; with all its attempts.
# Gives: the state it had.
REQUEUE = Script(f"""{_AGAIN}
local id, state = ARGV[1], state_of(ARGV[1])
if state == 'gone' or state == 'active' or state == 'wait' then return state end
again(id, state)
return state
""")

_CANCELLING = f"""{_BEGIN}{_STATE}{_RETAIN}{_TELL}{PLACES}
local function cancel(id, error, keep, seconds, most)
  local state, score = state_of(id)
  local open = {{wait = true, delayed = true, active = true}}
  if not open[state] then return state end
  redis.call('ZREM', base .. ':' .. state, id)
  redis.call('HDEL', jobs .. id, 'owner', 'begun')
  redis.call('HSET', jobs .. id, 'error', error, 'finished', now)
  local fields = redis.call('HMGET', jobs .. id, 'waiters', 'key', 'lane', 'batch')
  leave(id, state, score, fields[3])
  tell(id, fields[1], 'cancelled ' .. error)
  if fields[4] then settle(id, fields[4], 'cancelled', error) end
  retain('cancelled', id, fields[2], keep, seconds, most)
  return state
end
"""

# ARGV: id, the error; how many to keep, for how many seconds at least, how many at most. An active
# one is taken from its worker. Gives: the state it had.
CANCEL = Script(f"""{_CANCELLING}
return cancel(unpack(ARGV))
""")

# ARGV: the fields whose limits to remove, the limits to set, queue, queues' key; see `SET`.
LIMIT = Script(f"{_BEGIN}{PLACES}{limit_scripts.SET}")

# ARGV: ids of jobs. Gives: the limits that each waits for; see `REASONS`.
REASONS = Script(f"{_BEGIN}{PLACES}{limit_scripts.REASONS}")

PARTS = {
    "add": _ADDING,
    "again": _AGAIN,
    "batch": _BATCH,
    "begin": _BEGIN,
    "cancel": _CANCELLING,
}
"""The parts that the scripts of batches are made of, too."""
