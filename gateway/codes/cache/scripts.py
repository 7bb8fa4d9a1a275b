"""The cache's operations as Redis runs them: each one command, each atomic.

Keys, all beginning with `hutong:3:{MESH}:`: `state`, a hash of the generation `g`, the count of standing changes `n`,
what tells these changes from others of the same count `v`, the feeds that the nation follows `f`, per feed the cursor
`c:FEED` and the news `w:FEED`, per laboratory its latest change `l:LABORATORY`; one hash a person, `p:GENERATION:KEY`,
of the lease `l` and the entries by slot; `updater`, the lock. What belongs together is in one hash, because whatever
Redis evicts or loses must go together: without its state a cache is empty. The 3 names the layout, MESH the mesh: two
meshes in one Redis know nothing of each other. Every key ends by itself, the state STATE_MS after it was last written.

Names are made inside the scripts, from the generation. In a Redis Cluster the braces keep all of a mesh on one server,
for what a script does is one thing: the others stand by to take its place.

A Redis without room refuses a script whose first write would take some. What keeps the cache true writes to a key's
end first, which never does, and is done whole.
"""

PREFIX = "hutong:3:"
STATE = "state"
UPDATER = "updater"
PEOPLE = "p:"

STATE_MS = 86_400_000
"""A state that nobody has written for a day is of a mesh that is gone."""


def prefix(mesh: str) -> str:
    """Returns what the names of all keys of a mesh begin with."""
    return f"{PREFIX}{{{mesh}}}:"


# ARGV: how many feeds, the feeds, then person and slot of each key.
READ = """
local feeds = tonumber(ARGV[1])
local asked = {'g', 'n', 'f', 'v'}
for i = 2, feeds + 1 do asked[#asked + 1] = 'w:' .. ARGV[i] end
local found = redis.call('HMGET', KEYS[1], unpack(asked))
if not found[1] then return {} end
local people = KEYS[2] .. found[1] .. ':'
for i = feeds + 2, #ARGV, 2 do
  found[#found + 1] = redis.call('HGET', people .. ARGV[i], ARGV[i + 1])
end
return found
"""

# ARGV: a new token, its time in ms, the persons. A token already there is shared: it names the time since a change.
LEASE = """
local state = redis.call('HMGET', KEYS[1], 'g', 'n', 'f')
if not state[1] then return {} end
local people = KEYS[2] .. state[1] .. ':'
for i = 3, #ARGV do
  local key = people .. ARGV[i]
  local token = redis.call('HGET', key, 'l')
  if not token then
    token = ARGV[1]
    redis.call('HSET', key, 'l', token)
    redis.call('PEXPIRE', key, ARGV[2])
  elseif redis.call('PTTL', key) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', key, ARGV[2])
  end
  state[#state + 1] = token
end
return state
"""

# ARGV, of each item: generation, person, token, slot, entry, its time in ms.
STORE = """
local generation = redis.call('HGET', KEYS[1], 'g')
local stored = {}
for i = 1, #ARGV, 6 do
  local key = KEYS[2] .. ARGV[i] .. ':' .. ARGV[i + 1]
  if generation == ARGV[i] and redis.call('HGET', key, 'l') == ARGV[i + 2] then
    redis.call('HSET', key, ARGV[i + 3], ARGV[i + 4])
    if redis.call('PTTL', key) < tonumber(ARGV[i + 5]) then redis.call('PEXPIRE', key, ARGV[i + 5]) end
    stored[#stored + 1] = 1
  else
    stored[#stored + 1] = 0
  end
end
return stored
"""

# ARGV: the persons.
FORGET = """
local generation = redis.call('HGET', KEYS[1], 'g')
if generation then
  for i = 1, #ARGV do redis.call('UNLINK', KEYS[2] .. generation .. ':' .. ARGV[i]) end
end
return 1
"""

# ARGV: a new generation, the state's time in ms. Every entry and lease is of an older one from here on.
EMPTY = """
if redis.call('HEXISTS', KEYS[1], 'g') == 1 then
  redis.call('PERSIST', KEYS[1])
  redis.call('HSET', KEYS[1], 'g', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
"""

# ARGV: a new generation, feed, cursor, as of or empty, the feeds followed or '-', the state's time in ms.
BEGIN = """
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('HSET', KEYS[1], 'g', ARGV[1], 'v', ARGV[1], 'c:' .. ARGV[2], ARGV[3])
redis.call('HSETNX', KEYS[1], 'n', 0)
if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'w:' .. ARGV[2])
else redis.call('HSET', KEYS[1], 'w:' .. ARGV[2], ARGV[4]) end
if ARGV[5] ~= '-' then redis.call('HSET', KEYS[1], 'f', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
"""

# ARGV: feed, cursor before, cursor after, as of or empty, the feeds followed or '-', the state's time in ms, a new name
# for the standing changes, how many persons, the persons, the laboratories.
APPLY = """
local state = redis.call('HMGET', KEYS[1], 'g', 'c:' .. ARGV[1])
if not state[1] or state[2] ~= ARGV[2] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
local persons = tonumber(ARGV[8])
for i = 9, 8 + persons do redis.call('UNLINK', KEYS[2] .. state[1] .. ':' .. ARGV[i]) end
for i = 9 + persons, #ARGV do
  redis.call('HSET', KEYS[1], 'l:' .. ARGV[i], redis.call('HINCRBY', KEYS[1], 'n', 1), 'v', ARGV[7])
end
redis.call('HSET', KEYS[1], 'c:' .. ARGV[1], ARGV[3])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'w:' .. ARGV[1], ARGV[4]) end
if ARGV[5] ~= '-' then redis.call('HSET', KEYS[1], 'f', ARGV[5]) end
return 1
"""

# ARGV: owner, its time in ms.
LEAD = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# ARGV: owner.
RESIGN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
