"""The few steps that must happen at once, as Lua on the server.

The log is one stream a prefix; an entry has the event's ``id``, its channel ``c`` and the
message ``m``. A message on a channel is that of its entry with the entry's place put in.
"""

from __future__ import annotations

from agentnb.core.redis.script import Script

__all__ = ["END", "PLAIN", "PUBLISH", "PUBLISH_FUNCTION", "READ"]

# Without this, what is neither an object nor enveloped could not be told from a stranger's: the
# envelope goes ahead on a channel of our own, and the value follows at once.
_SEND = """
local function agentnb_send(channel, message, marker, bare)
  if bare == '' then return redis.call('PUBLISH', channel, message) end
  redis.call('PUBLISH', marker, message)
  return redis.call('PUBLISH', channel, bare)
end
"""

PUBLISH_FUNCTION = f"""{_SEND}
local function agentnb_publish(log, channel, id, before, after, most, marker, bare)
  local place = redis.call('XADD', log, 'MAXLEN', '~', most, '*',
    'id', id, 'c', channel, 'm', before .. after)
  agentnb_send(channel, before .. place .. after, marker, bare)
  return place
end
"""
"""Lua that defines ``agentnb_publish``, which takes an `Attachment`'s key and seven arguments in
their order, puts the event into the log, publishes it and returns its place there."""

# KEYS: log. ARGV: channel, id, before, after, most, marker, bare. Gives: the place.
PUBLISH = Script(f"""{PUBLISH_FUNCTION}
return agentnb_publish(KEYS[1], unpack(ARGV))
""")

# ARGV: channel, message, marker, bare. Not kept.
PLAIN = Script(f"""{_SEND}
return agentnb_send(unpack(ARGV))
""")

# KEYS: log. Gives: the place of the last entry there is.
END = Script("""
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return last[1] and last[1][1] or '0-0'
""")

# KEYS: log. ARGV: after, how many.
# Gives: 1 if entries after that place are gone, 2 if the whole log was, else 0; the entries.
READ = Script("""
local function field(info, name)
  for i = 1, #info, 2 do if info[i] == name then return info[i + 1] end end
end
local function before(a, b)
  local ms, seq = string.match(a, '(%d+)-(%d+)')
  local ms2, seq2 = string.match(b, '(%d+)-(%d+)')
  if ms ~= ms2 then return tonumber(ms) < tonumber(ms2) end
  return tonumber(seq) < tonumber(seq2)
end
local gap, after = 0, ARGV[1]
local last, added, length = '0-0', 0, 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  last, added = field(info, 'last-generated-id'), field(info, 'entries-added')
  length = field(info, 'length')
end
if before(last, after) then
  gap, after = 2, '0-0'
elseif after == '0-0' then
  if added > length then gap = 1 end
elseif after ~= last and #redis.call('XRANGE', KEYS[1], after, after) == 0 then
  gap = 1
end
return {gap, redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2])}
""")
