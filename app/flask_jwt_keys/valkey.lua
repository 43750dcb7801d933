-- The writes of flask_jwt_keys.valkey, each of them atomic. KEYS[1] is what all names begin with:
--   s:<session>   hash: data, version, access_until, tokens, subject, nameless, and the app's name
--   u:<subject>   sorted set: a user's sessions by the time at which they are forgotten
--   n:<token>     the session that knows an access token as its nameless one
--   r:<name>      a session or token that has ended
local prefix, command, margin = KEYS[1], ARGV[1], tonumber(ARGV[2])
local FIELDS = { 'version', 'access_until', 'tokens', 'subject', 'nameless' }

local function at(till)
  return string.format('%.0f', tonumber(till) + margin)
end

local function ban(name, till)
  local key = prefix .. 'r:' .. name
  if redis.call('TTL', key) + tonumber(redis.call('TIME')[1]) < tonumber(at(till)) then
    redis.call('SET', key, '1', 'EXAT', at(till))
  end
end

local function known(sid)
  local found = redis.call('HMGET', prefix .. 's:' .. sid, unpack(FIELDS))
  if not found[1] then
    return nil
  end
  return { version = found[1], access_until = found[2], tokens = found[3], subject = found[4], nameless = found[5] }
end

local function forget_nameless(sid, nameless)
  local key = prefix .. 'n:' .. nameless
  if nameless ~= '' and redis.call('GET', key) == sid then
    redis.call('DEL', key)
  end
end

local function finish(sid)
  local session = known(sid)
  if not session then
    return 0
  end
  ban(sid, session.access_until)
  for token, till in string.gmatch(session.tokens, '(%S+) (%S+)') do
    ban(token, till)
  end
  forget_nameless(sid, session.nameless)
  redis.call('ZREM', prefix .. 'u:' .. session.subject, sid)
  redis.call('DEL', prefix .. 's:' .. sid)
  return 1
end

local function put(sid, data, version, till, access_until, tokens, subject, nameless, name)
  local key, user = prefix .. 's:' .. sid, prefix .. 'u:' .. subject
  redis.call('HSET', key, 'data', data, 'version', version, 'access_until', access_until, 'tokens', tokens,
    'subject', subject, 'nameless', nameless)
  if name ~= '' then
    redis.call('HSET', key, 'name', name)
  end
  redis.call('EXPIREAT', key, at(till))
  if nameless ~= '' then
    redis.call('SET', prefix .. 'n:' .. nameless, sid, 'EXAT', at(till))
  end
  local now = tonumber(redis.call('TIME')[1])
  redis.call('ZREMRANGEBYSCORE', user, '-inf', now)
  redis.call('ZADD', user, at(till), sid)
  if tonumber(at(till)) - now > redis.call('TTL', user) then
    redis.call('EXPIREAT', user, at(till))
  end
end

local function is_of(sid, ...)
  local name = redis.call('HGET', prefix .. 's:' .. sid, 'name')
  for _, one in ipairs({ ... }) do
    if name == one then
      return true
    end
  end
  return not name or select('#', ...) == 0
end

if command == 'add' then
  put(unpack(ARGV, 3))
elseif command == 'replace' then
  local before = known(ARGV[3])
  if not before or tonumber(before.version) ~= tonumber(ARGV[5]) - 1 then
    return 0
  end
  forget_nameless(ARGV[3], before.nameless)
  put(unpack(ARGV, 3))
elseif command == 'end' then
  return finish(ARGV[3])
elseif command == 'end_all' then
  local ended = 0
  for _, sid in ipairs(redis.call('ZRANGE', prefix .. 'u:' .. ARGV[3], 0, -1)) do
    if is_of(sid, unpack(ARGV, 4)) then
      ended = ended + finish(sid)
    end
  end
  return ended
elseif command == 'revoke' then
  local token, till, sid = ARGV[3], ARGV[4], ARGV[5]
  ban(token, till)
  local other = redis.call('GET', prefix .. 'n:' .. token)
  if sid ~= '' and finish(sid) == 0 then
    ban(sid, till) -- its key may be gone before its last token
  end
  if other then
    finish(other)
  end
end
return 1
