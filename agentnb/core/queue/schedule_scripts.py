"""The schedules of a queue on the server: what fires, and when it fires next.

Beside the keys of `agentnb.core.queue.scripts`: ``schedules``, a sorted set of the names by the
next time of each in ms, which has no end for one that is paused or over; and for each a hash,
``schedule:`` and its name: ``spec``, ``revision``, ``paused``, ``fired``, ``last``, ``last_id``
and ``error``. Earlier code knows neither, and leaves both alone.

A firing counts only while the schedule has the revision and the next time that were read, and sets
the next one in the same step: so each time fires once, whoever comes to it.
"""

from __future__ import annotations

from agentnb.core.queue.scripts import _ADDING, _BEGIN
from agentnb.core.redis.script import Script

__all__ = ["DUE", "FIRE", "LIST", "PAUSE", "REMOVE", "SAVE"]

_OF = "local all, key = base .. ':schedules', base .. ':schedule:' .. ARGV[1]"

# ARGV: name, spec, the next time, queue, queues' key.
# Gives: 0 if it is this already, 1 if it was made or replaced. A paused one stays paused.
SAVE = Script(f"""{_BEGIN}{_OF}
if redis.call('HGET', key, 'spec') == ARGV[2] then return 0 end
redis.call('SADD', ARGV[5], ARGV[4])
redis.call('HSET', key, 'spec', ARGV[2])
redis.call('HINCRBY', key, 'revision', 1)
redis.call('HDEL', key, 'error')
local paused = redis.call('HGET', key, 'paused')
redis.call('ZADD', all, paused and 'inf' or ARGV[3], ARGV[1])
return 1
""")

# ARGV: none, or a name. Gives: the time; of all schedules or of that one name, next time, fields.
LIST = Script(f"""{_BEGIN}
local names, found = {{ARGV[1]}}, {{now}}
if not ARGV[1] then names = redis.call('ZRANGE', base .. ':schedules', 0, -1) end
for _, name in ipairs(names) do
  local due = redis.call('ZSCORE', base .. ':schedules', name)
  if due then
    table.insert(found, {{name, due, redis.call('HGETALL', base .. ':schedule:' .. name)}})
  end
end
return found
""")

# Gives: the time; the first time after it or -1; of the schedules that are due name, next time,
# spec, revision.
DUE = Script(f"""{_BEGIN}
local found = {{now, -1}}
if redis.call('HEXISTS', base .. ':meta', 'paused') == 1 then return found end
local later = redis.call('ZRANGEBYSCORE', base .. ':schedules', string.format('(%d', now), '(inf',
  'WITHSCORES', 'LIMIT', 0, 1)[2]
if later then found[2] = tonumber(later) end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', base .. ':schedules', '-inf', now,
    'LIMIT', 0, 100)) do
  local fields = redis.call('HMGET', base .. ':schedule:' .. name, 'spec', 'revision')
  if fields[1] then
    local due = redis.call('ZSCORE', base .. ':schedules', name)
    table.insert(found, {{name, due, fields[1], fields[2]}})
  end
end
return found
""")

# ARGV: name, revision, the time that is due or empty for a firing out of turn, the next time, 1 to
# leave out those that overlap, queue, priority, 1 for last in first out, attempts, then for each
# firing its time, an id and a message.
# Gives: -1 if somebody else was first; else how many were left out, and the ids of the jobs.
FIRE = Script(f"""{_ADDING}{_OF}
local turn = ARGV[3] ~= ''
local fields = redis.call('HMGET', key, 'revision', 'last_id')
if fields[1] ~= ARGV[2] then return {{-1}} end
if turn then
  local due = redis.call('ZSCORE', all, ARGV[1])
  if not due or tonumber(due) ~= tonumber(ARGV[3]) then return {{-1}} end
  redis.call('ZADD', all, ARGV[4], ARGV[1])
end
local last, made, left_out = fields[2], {{0}}, 0
local function runs(id)
  if not id then return false end
  local state = state_of(id)
  return state == 'wait' or state == 'active' or state == 'delayed'
end
for i = 10, #ARGV, 3 do
  if ARGV[5] == '1' and runs(last) then
    left_out = left_out + 1
  else
    last = ARGV[i + 1]
    add(last, ARGV[i + 2], tonumber(ARGV[7]), 0, ARGV[8] == '1', ARGV[6], ARGV[9])
    redis.call('HSET', key, 'last', ARGV[i], 'last_id', last)
    redis.call('HINCRBY', key, 'fired', 1)
    table.insert(made, last)
  end
end
redis.call('HDEL', key, 'error')
made[1] = left_out
return made
""")

# ARGV: name, 1 to pause and 0 to resume, the next time. Gives: whether it was there.
PAUSE = Script(f"""{_BEGIN}{_OF}
if not redis.call('ZSCORE', all, ARGV[1]) then return 0 end
if ARGV[2] == '1' then
  redis.call('HSET', key, 'paused', 1)
  redis.call('ZADD', all, 'inf', ARGV[1])
elseif redis.call('HDEL', key, 'paused') == 1 then
  redis.call('ZADD', all, ARGV[3], ARGV[1])
end
return 1
""")

# ARGV: name. Gives: whether it was there.
REMOVE = Script(f"""{_BEGIN}{_OF}
redis.call('UNLINK', key)
return redis.call('ZREM', all, ARGV[1])
""")
