"""The Lua that Redis runs for the gate. Each script is one act, alone and by Redis' clock.

Keys of a tool, in this order:

1. a hash, absent while the breaker is closed: `status` (open, half_open), `since`, `next_probe`, `opened` (how often
   in a row, which is also what probes are marked with), `passed` (probes that succeeded), `tripped_by`
2. failures in the window: a sorted set of ticket by the second at which it leaves the window
3. places taken: ticket by the second at which it is free again if nobody gives it back
4. the same for probes, which are in 3 too
5. a pause, present while the tool wants to be left alone

All times are seconds, as decimal text with microseconds.
"""

_CLOCK = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function text(seconds) return string.format('%.6f', seconds) end
local state, failures, slots, probes, pause = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
"""

# ticket, threshold, window, probes, concurrency, seconds until the place is free again
ENTER = (
    _CLOCK
    + """
local ticket, threshold = ARGV[1], tonumber(ARGV[2])
local most_probes, concurrency, hold = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local status = redis.call('HGET', state, 'status')
local opened = redis.call('HGET', state, 'opened') or ''

-- The client may send the same act twice, when the first answer was lost.
if redis.call('ZSCORE', slots, ticket) then
  if redis.call('ZSCORE', probes, ticket) then return {'in', opened} end
  return {'in', ''}
end
if (redis.call('HGET', state, 'tripped_by') or '') ~= '' then return {'tripped', ''} end

local rest = redis.call('PTTL', pause)
if rest > 0 then return {'paused', text(rest / 1000)} end

redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now))
redis.call('ZREMRANGEBYSCORE', probes, '-inf', text(now))
if redis.call('ZCARD', slots) >= concurrency then
  if status == 'open' and now < tonumber(redis.call('HGET', state, 'next_probe')) then return {'open', ''} end
  return {'busy', ''}
end

local function take(mark)
  redis.call('ZADD', slots, text(now + hold), ticket)
  redis.call('PEXPIRE', slots, math.ceil(hold * 1000) + 60000)
  return {'in', mark}
end

if status then
  if status == 'open' then
    if now < tonumber(redis.call('HGET', state, 'next_probe')) then return {'open', ''} end
    redis.call('HSET', state, 'status', 'half_open', 'passed', 0)
    redis.call('DEL', probes)
  end
  -- Of the probes that are still wanted one is let through even where an admin lowered their number meanwhile.
  local passed = math.min(tonumber(redis.call('HGET', state, 'passed') or 0), most_probes - 1)
  if redis.call('ZCARD', probes) + passed >= most_probes then return {'busy', ''} end
  redis.call('ZADD', probes, text(now + hold), ticket)
  redis.call('PEXPIRE', probes, math.ceil(hold * 1000) + 60000)
  return take(opened)
end

redis.call('ZREMRANGEBYSCORE', failures, '-inf', text(now))
local failed, under_way = redis.call('ZCARD', failures), redis.call('ZCARD', slots)
if failed > 0 and under_way > 0 and failed + under_way >= threshold then return {'busy', ''} end
return take('')
"""
)

# ticket, mark of the probe, verdict, pause in ms, threshold, window, open_seconds, open_max, probes
LEAVE = (
    _CLOCK
    + """
local ticket, mark, verdict, rest = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local threshold, window = tonumber(ARGV[5]), tonumber(ARGV[6])
local open_seconds, open_max, most_probes = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

if redis.call('ZREM', slots, ticket) == 0 then return 0 end
local was_probe = redis.call('ZREM', probes, ticket) == 1
if rest > 0 and redis.call('PTTL', pause) < rest then redis.call('SET', pause, '1', 'PX', rest) end

local status = redis.call('HGET', state, 'status')
local function open(opened)
  local seconds = math.min(open_max, open_seconds * 2 ^ math.min(opened - 1, 30))
  redis.call('HSET', state, 'status', 'open', 'next_probe', text(now + seconds), 'opened', opened)
  redis.call('HSETNX', state, 'since', text(now))
  redis.call('DEL', probes)
end

if mark == '' then
  if status or verdict ~= 'failed' then return 0 end
  redis.call('ZADD', failures, text(now + window), ticket)
  redis.call('PEXPIRE', failures, math.ceil(window * 1000) + 60000)
  redis.call('ZREMRANGEBYSCORE', failures, '-inf', text(now))
  if redis.call('ZCARD', failures) >= threshold then open(1) end
  return 0
end

if not was_probe or status ~= 'half_open' or redis.call('HGET', state, 'opened') ~= mark then return 0 end
if verdict == 'failed' then
  open(tonumber(mark) + 1)
elseif verdict == 'ok' and redis.call('HINCRBY', state, 'passed', 1) >= most_probes then
  redis.call('DEL', state, failures, probes)
  return 1
end
return 0
"""
)

STATE = (
    _CLOCK
    + """
local status = redis.call('HGET', state, 'status') or 'closed'
local next_probe = redis.call('HGET', state, 'next_probe') or ''
if status == 'open' and next_probe ~= '' and now >= tonumber(next_probe) then status = 'half_open' end
local rest = redis.call('PTTL', pause)
return {
  status,
  redis.call('HGET', state, 'since') or '',
  next_probe,
  tostring(redis.call('ZCOUNT', failures, '(' .. text(now), '+inf')),
  tostring(redis.call('ZCOUNT', slots, '(' .. text(now), '+inf')),
  rest > 0 and text(now + rest / 1000) or '',
  redis.call('HGET', state, 'tripped_by') or '',
}
"""
)

# who
TRIP = (
    _CLOCK
    + """
redis.call('HSET', state, 'status', 'open', 'tripped_by', ARGV[1], 'opened', 0)
redis.call('HSETNX', state, 'since', text(now))
redis.call('HDEL', state, 'next_probe')
redis.call('DEL', probes)
return 1
"""
)

# Places taken stay taken: those calls are really under way.
RESET = (
    _CLOCK
    + """
redis.call('DEL', state, failures, probes, pause)
return 1
"""
)
