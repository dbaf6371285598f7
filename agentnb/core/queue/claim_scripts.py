"""The claim of the next job in the scripts: the first of the queue, or the first within limits."""

from __future__ import annotations

from agentnb.core.queue.limit_scripts import PLACES

__all__ = ["NEXT"]

_TAKE = """
local function next_due()
  local sets, due = {':delayed', ':room'}, -1
  for i = 1, limits and 2 or 1 do
    local next = redis.call('ZRANGE', base .. sets[i], 0, 0, 'WITHSCORES')[2]
    local left = next and math.max(math.floor(next) - now, 0)
    if left and (due < 0 or left < due) then due = left end
  end
  return due
end
local function record(id)
  return redis.call('HMGET', jobs .. id, 'message', 'attempt', 'entry', 'deaths', 'created',
    'due')
end
local function take(id, score, fields, owner, lease, lane)
  local attempt, entry = (tonumber(fields[2]) or 0) + 1, (tonumber(fields[3]) or 0) + 1
  redis.call('HSET', jobs .. id, 'attempt', attempt, 'entry', entry, 'owner', owner,
    'started', now, 'order', score, unpack(lane and {'lane', lane} or {}))
  redis.call('ZADD', base .. ':active', clock + lease, id)
  if lane then occupy(id, lane) end
  local since = entry == 1 and tonumber(fields[6] or fields[5])
  return {id, fields[1], attempt, entry, fields[4], since and math.max(now - since, 0)}
end
local function first_waiting(owner, lease)
  while true do
    local popped = redis.call('ZPOPMIN', base .. ':wait')
    if not popped[1] then return end
    local fields = record(popped[1])
    if fields[1] then return take(popped[1], popped[2], fields, owner, lease, limits and '') end
  end
end
-- Looks at the first job of the inbox, which starts or joins its lane.
local function sort_in(id, score, owner, lease)
  local fields = record(id)
  if not fields[1] then return redis.call('ZREM', base .. ':wait', id) and nil end
  local lane = lane_of(fields[1])
  if redis.call('HEXISTS', base .. ':at', lane) == 1 or full_bucket_of(lane) then
    if redis.call('ZSCORE', base .. ':wait', id) then
      redis.call('ZADD', base .. ':lanes', 0, in_lane(lane, score, id))
      place(lane)
    end
    return
  end
  return redis.call('ZREM', base .. ':wait', id) == 1
    and take(id, score, fields, owner, lease, lane)
end
-- Takes the first job of a lane that was ready, if it still is.
local function first_in(lane, owner, lease)
  local found, score, id = first_of(lane)
  local fields, taken = found and record(id)
  if not found or not full_bucket_of(lane) then
    if found then redis.call('ZREM', base .. ':lanes', found) end
    if found and redis.call('ZREM', base .. ':wait', id) == 1 and fields[1] then
      taken = take(id, tonumber(score), fields, owner, lease, lane)
    end
  end
  place(lane)
  kick_others(lane)
  return taken
end
local function first_with_room(owner, lease)
  while budget > 0 do
    budget = budget - 1
    local ready = redis.call('ZRANGE', base .. ':ready', 0, 0, 'WITHSCORES')
    local taken, new
    if ready[1] then
      new = redis.call('ZRANGE', base .. ':inbox', 0, 0, 'WITHSCORES')
      if new[1] and tonumber(ready[2]) < tonumber(new[2]) then new = {} end
      if new[1] then redis.call('ZREM', base .. ':inbox', new[1]) end
    else
      new = redis.call('ZPOPMIN', base .. ':inbox')
    end
    if new[1] then
      taken = sort_in(new[1], new[2], owner, lease)
    elseif ready[1] then
      taken = first_in(ready[1], owner, lease)
    else
      return
    end
    if taken then return taken end
  end
end
local function claim_within_limits(owner, lease)
  local due = redis.call('ZRANGEBYSCORE', base .. ':room', '-inf', now, 'LIMIT', 0, 100)
  for _, name in ipairs(due) do
    redis.call('ZREM', base .. ':room', name)
    kick(name)
  end
  if is_closed() then return end
  local taken
  if #limits.fields == 0 then
    taken = first_waiting(owner, lease)
  else
    taken = first_with_room(owner, lease)
  end
  if taken then ring_for_more() end
  return taken
end
local function claim(owner, lease)
  local meta = redis.call('HMGET', base .. ':meta', 'paused', 'limits')
  if meta[1] then return {false, -1} end
  local due = redis.call('ZRANGEBYSCORE', base .. ':delayed', '-inf',
    string.format('(%d', now + 1), 'LIMIT', 0, 100)
  for _, id in ipairs(due) do
    redis.call('ZREM', base .. ':delayed', id)
    wait_again(id)
  end
  if #due > 1 then ring(#due - 1) end
  use_limits(meta[2])
  local taken
  if limits then
    taken = claim_within_limits(owner, lease)
  else
    taken = first_waiting(owner, lease)
  end
  if taken then return taken end
  redis.call('UNLINK', base .. ':bell')
  return {false, budget > 0 and next_due() or 0}
end
"""

NEXT = f"{PLACES}{_TAKE}"
"""Lua that claims, after the beginning of a script and what lets a job wait.

``claim`` gives the id, the message, the attempt, the entry, the deaths in a row, for how many ms it
could run before its first claim (false at a later one); or false and in how many ms a delayed job
is due or a limit has room, -1 for never. The bell is for jobs that can be claimed: where none can
it is still.
"""
