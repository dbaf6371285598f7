"""The steps of a batch's life, as Lua on the server; see `agentnb.core.queue.scripts`."""

from __future__ import annotations

from agentnb.core.queue.scripts import PARTS
from agentnb.core.redis.script import Script

__all__ = [
    "ADD_PIECE",
    "BATCHES",
    "CANCEL_PIECE",
    "OPEN",
    "READ",
    "REMOVE",
    "RETRY_PIECE",
    "SEAL",
    "SHOW",
    "STOP",
]

_BEGIN, _BATCH = PARTS["begin"], PARTS["batch"]

# ARGV: id, key or empty, function or empty, ms to keep it, priority, 1 for last in first out,
# attempts, all options as JSON.
# Gives: its id, or that of the batch that has the key; its function; the digests of its pieces; how
# many jobs it has; whether all are added; its options, false if earlier code made it. Safe to
# repeat.
OPEN = Script(f"""{_BEGIN}{_BATCH}
local id, key = ARGV[1], ARGV[2]
if key ~= '' then
  local former = redis.call('GET', base .. ':batchkey:' .. key)
  if former and redis.call('EXISTS', base .. ':batch:' .. former) == 1 then id = former end
end
local batch = base .. ':batch:' .. id
if redis.call('EXISTS', batch) == 0 then
  redis.call('HSET', batch, 'created', now, 'total', 0, 'ended', 0, 'failed', 0,
    'cancelled', 0, 'function', ARGV[3], 'ttl', ARGV[4], 'priority', ARGV[5], 'lifo', ARGV[6],
    'attempts', ARGV[7], 'options', ARGV[8])
  if key ~= '' then
    redis.call('HSET', batch, 'key', key)
    redis.call('SET', base .. ':batchkey:' .. key, id)
  end
  for _, old in ipairs(redis.call('ZRANGE', base .. ':batches', 0, 9)) do
    if redis.call('EXISTS', base .. ':batch:' .. old) == 0 then
      redis.call('ZREM', base .. ':batches', old)
    end
  end
  redis.call('ZADD', base .. ':batches', moment, id)
  keep_batch(id, ARGV[4])
end
local fields = redis.call('HMGET', batch, 'function', 'total', 'sealed', 'options')
return {{id, fields[1], redis.call('LRANGE', batch .. ':pieces', 0, -1), fields[2], fields[3],
  fields[4]}}
""")

# ARGV: id, the number of the piece, a digest of all items up to its end or empty, queue, queues'
# key, 1 for last in first out, attempts, priority, delay in ms, the number of its first job, then
# the messages of its jobs.
# Gives: added; there if that was done before; other if the batch has other items; stopped if it was
# cancelled; gone if it is not kept. Safe to repeat.
ADD_PIECE = Script(f"""{PARTS["add"]}{_BATCH}
local id, number = ARGV[1], tonumber(ARGV[2])
local batch = base .. ':batch:' .. id
local fields = redis.call('HMGET', batch, 'total', 'sealed', 'stopped')
if not fields[1] then return 'gone' end
local there = redis.call('LLEN', batch .. ':pieces')
if number < there then
  return redis.call('LINDEX', batch .. ':pieces', number) == ARGV[3] and 'there' or 'other'
end
if fields[2] or number > there then return 'other' end
if fields[3] then return 'stopped' end
redis.call('SADD', ARGV[5], ARGV[4])
for i = 11, #ARGV do
  local job = id .. '.' .. string.format('%d', ARGV[10] + i - 11)
  add(job, ARGV[i], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[6] == '1', ARGV[4], ARGV[7])
  redis.call('HSET', jobs .. job, 'batch', id)
end
redis.call('HINCRBY', batch, 'total', #ARGV - 10)
redis.call('RPUSH', batch .. ':pieces', ARGV[3])
keep_batch(id)
return 'added'
""")

# ARGV: id, how many pieces it has. Gives: what `ADD_PIECE` gives. Safe to repeat.
SEAL = Script(f"""{_BEGIN}{_BATCH}
local batch = base .. ':batch:' .. ARGV[1]
if redis.call('EXISTS', batch) == 0 then return 'gone' end
if redis.call('LLEN', batch .. ':pieces') ~= tonumber(ARGV[2]) then return 'other' end
if redis.call('HSETNX', batch, 'sealed', 1) == 1 then
  local fields = redis.call('HMGET', batch, 'ended', 'total')
  if fields[1] == fields[2] then all_ended(ARGV[1]) end
end
return 'there'
""")

# ARGV: ids. Gives for each the fields of its hash, how many of its jobs are active, the last id of
# the streams of its ends, of those of all its jobs; how many jobs have ended lately, and within how
# many ms. The jobs that are active are counted among the first 1,000 of the queue.
SHOW = Script(f"""{_BEGIN}
local active, found = {{}}, {{}}
for _, id in ipairs(redis.call('ZRANGE', base .. ':active', 0, 999)) do
  local batch = string.match(id, '^(.*)%.%d+$')
  if batch then active[batch] = (active[batch] or 0) + 1 end
end
local function last_of(stream, n)
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', n)
  return last, last[1] and last[1][1] or '0-0'
end
for _, id in ipairs(ARGV) do
  local batch = base .. ':batch:' .. id
  local last, ended = last_of(batch .. ':ended', 200)
  local _, done = last_of(batch .. ':done', 1)
  local ms = #last > 0 and clock - tonumber(string.match(last[#last][1], '^%d+')) or 0
  table.insert(found, {{redis.call('HGETALL', batch), active[id] or 0, ended, done, #last, ms}})
end
return found
""")

# ARGV: 1 to forbid that more jobs are added, 0 to allow it again.
STOP = Script(f"""{_BEGIN}
local batch = base .. ':batch:' .. ARGV[1]
if redis.call('EXISTS', batch) == 0 then return 0 end
if ARGV[2] == '1' then
  redis.call('HSET', batch, 'stopped', 1)
else
  redis.call('HDEL', batch, 'stopped')
end
return 1
""")

# ARGV: id, the numbers of the first and the last job; then as for CANCEL of a job.
# Gives: how many were cancelled.
CANCEL_PIECE = Script(f"""{PARTS["cancel"]}
local count, open = 0, {{wait = true, delayed = true, active = true}}
local results = base .. ':batch:' .. ARGV[1] .. ':results'
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  if redis.call('HEXISTS', results, string.format('%d', number)) == 0 then
    local id = ARGV[1] .. '.' .. string.format('%d', number)
    if open[cancel(id, unpack(ARGV, 4))] then count = count + 1 end
  end
end
return count
""")

# ARGV: id, queue, 1 for those that were cancelled too, then numbers of jobs that did not complete.
# Gives: how many run again. One that its queue has removed is made again of its message; its entry
# is larger than any of its former claims. Safe to repeat.
RETRY_PIECE = Script(f"""{PARTS["again"]}
local count, batch = 0, base .. ':batch:' .. ARGV[1]
local options = redis.call('HMGET', batch, 'priority', 'lifo', 'attempts')
for i = 4, #ARGV do
  local number = ARGV[i]
  local outcome = redis.call('HGET', batch .. ':results', number)
  local set = outcome and string.match(outcome, '^%a+')
  if set == 'failed' or (set == 'cancelled' and ARGV[3] == '1') then
    local id = ARGV[1] .. '.' .. number
    if redis.call('EXISTS', jobs .. id) == 0 then
      redis.call('HSET', jobs .. id, 'queue', ARGV[2], 'created', now, 'batch', ARGV[1], 'message',
        redis.call('HGET', batch .. ':messages', number), 'priority', options[1], 'attempts',
        options[3], 'entry', clock)
      if options[2] == '1' then redis.call('HSET', jobs .. id, 'lifo', 1) end
    end
    again(id, set)
    count = count + 1
  end
end
return count
""")

# ARGV: id, ms. All its results were read: keep it for no longer than that.
READ = Script(f"""{_BEGIN}{_BATCH}
local fields = redis.call('HMGET', base .. ':batch:' .. ARGV[1], 'key', 'ended', 'total', 'sealed')
if fields[1] or not fields[4] or fields[2] ~= fields[3] then return end
for _, one in ipairs(batch_keys(ARGV[1])) do redis.call('PEXPIRE', one, ARGV[2], 'LT') end
""")

# ARGV: id. Gives: how many of its jobs are open, of which it is removed if none is; -1 for gone.
REMOVE = Script(f"""{_BEGIN}{_BATCH}
local batch = base .. ':batch:' .. ARGV[1]
local fields = redis.call('HMGET', batch, 'total', 'ended', 'key')
if not fields[1] then return -1 end
local left = tonumber(fields[1]) - tonumber(fields[2])
if left > 0 then return left end
if fields[3] then redis.call('UNLINK', base .. ':batchkey:' .. fields[3]) end
redis.call('UNLINK', unpack(batch_keys(ARGV[1])))
redis.call('ZREM', base .. ':batches', ARGV[1])
return 0
""")

# ARGV: how many. Gives: the ids of the newest batches that are kept; others are forgotten.
BATCHES = Script(f"""{_BEGIN}
local found = {{}}
for _, id in ipairs(redis.call('ZREVRANGE', base .. ':batches', 0, -1)) do
  if redis.call('EXISTS', base .. ':batch:' .. id) == 1 then
    table.insert(found, id)
    if #found >= tonumber(ARGV[1]) then break end
  else
    redis.call('ZREM', base .. ':batches', id)
  end
end
return found
""")
