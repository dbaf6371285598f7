"""The few steps that must happen at once, as Lua on the server.

Beside each value there may be, under keys of our own: the lock of its loader, how the last
loader failed, a copy for when the source fails. ``aside`` lists the names that have a lock or
a copy, until when; under bare names ``listed`` lists the values that a cache has stored, until
when; a set for each tag lists its keys.
"""

from __future__ import annotations

from agentnb.core.redis.script import Script

__all__ = ["DROP_TAG", "EXTEND", "FAIL", "PUT", "RELEASE", "RENEW", "STORE", "TAKE"]

_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# Lists a name until its end, and forgets what is over. A list lives as long as its longest entry.
_LIST = """
local function list(set, name, ms)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  redis.call('ZADD', set, 'GT', now + ms, name)
  redis.call('PEXPIRE', set, ms, 'NX')
  redis.call('PEXPIRE', set, ms, 'GT')
end
"""

_TAG = """
local function tag(first, name, ms)
  for i = first, #KEYS do
    redis.call('SADD', KEYS[i], name)
    redis.call('PEXPIRE', KEYS[i], ms, 'NX')
    redis.call('PEXPIRE', KEYS[i], ms, 'GT')
  end
end
"""

# KEYS: value, listed, tags ... ARGV: data, ms, name, whether names are listed.
PUT = Script(f"""{_CLOCK}{_LIST}{_TAG}
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[4] == '1' then
  redis.call('ZREM', KEYS[2], ARGV[3])
  list(KEYS[2], ARGV[3], ARGV[2])
end
tag(3, ARGV[3], ARGV[2])
return 1
""")

# KEYS: value, lock, failure, aside, tags ...
# ARGV: token, lock's ms, name, whose failure counts, whether to load beside a value, tags' ms.
# Gives: whether the lock is taken now, the value, who loads, the failure.
TAKE = Script(f"""{_CLOCK}{_LIST}{_TAG}
local data, holder = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
local failure = redis.call('GET', KEYS[3])
if failure and string.sub(failure, 1, #ARGV[1]) ~= ARGV[4] then failure = false end
if holder or failure or (data and ARGV[5] == '0') then return {{0, data, holder, failure}} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
list(KEYS[4], ARGV[3], ARGV[2])
-- Noted before it is loaded, so that to invalidate the tag reaches a loader that runs.
tag(5, ARGV[3], ARGV[6])
return {{1, data, false, false}}
""")

# KEYS: value, lock, failure, copy, aside, listed, tags ...
# ARGV: token, data, ms, copy's ms, name, whether names are listed, SHA1 of the value before.
# A loader that lost its lock, to an invalidation or to another loader, stores nothing, nor does
# one whose value has been set meanwhile: what it has loaded may be older.
STORE = Script(f"""{_CLOCK}{_LIST}{_TAG}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local changed = redis.call('EXISTS', KEYS[1]) == 1 and
  (ARGV[7] == '' or redis.sha1hex(redis.call('GET', KEYS[1])) ~= ARGV[7])
-- Written first: a full server refuses the first write of a script, and none after it.
if not changed then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[2], KEYS[3])
if changed then return 0 end
if ARGV[4] ~= '0' then
  redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[4])
  list(KEYS[5], ARGV[5], ARGV[4])
end
if ARGV[6] == '1' then
  redis.call('ZREM', KEYS[6], ARGV[5])
  list(KEYS[6], ARGV[5], ARGV[3])
end
tag(7, ARGV[5], ARGV[3])
return 1
""")

# KEYS: lock, failure. ARGV: token, report, ms for which the failure is shared.
FAIL = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[1])
return 1
""")

# KEYS: lock. ARGV: token.
RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")

# KEYS: lock. ARGV: token, ms.
EXTEND = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
""")

# KEYS: lock, aside. ARGV: token, ms, name.
RENEW = Script(f"""{_CLOCK}{_LIST}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
list(KEYS[2], ARGV[3], ARGV[2])
return 1
""")

# KEYS: tag, listed. ARGV: how many, starts of the keys of value, lock and copy, whether names
# are listed. Gives: how many names were looked at, how many values removed.
DROP_TAG = Script(f"""{_CLOCK}
local names = redis.call('SPOP', KEYS[1], ARGV[1])
local removed = 0
for _, name in ipairs(names) do
  redis.call('UNLINK', ARGV[3] .. name, ARGV[4] .. name)
  if ARGV[5] == '0' or tonumber(redis.call('ZSCORE', KEYS[2], name) or 0) > now then
    removed = removed + redis.call('UNLINK', ARGV[2] .. name)
  end
  if ARGV[5] == '1' then redis.call('ZREM', KEYS[2], name) end
end
return {{#names, removed}}
""")
