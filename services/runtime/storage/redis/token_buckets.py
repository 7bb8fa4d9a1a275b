"""Token buckets in Redis, which all replicas of a service take from."""

import time
from collections.abc import Sequence
from hashlib import blake2b

from redis.exceptions import RedisError

from services.runtime.limits.buckets import BucketsDownError, Taking
from services.runtime.resilience.batches import Batches
from services.runtime.resilience.circuit import SharedCircuit
from services.runtime.storage.redis.client import Call, RedisClient
from services.runtime.storage.redis.reach import Reach

PREFIX = "hutong:limits:1:"

# One bucket. ARGV: rate, burst, tokens, forced. The same sums as LocalBuckets.take, by Redis's own clock, which all
# replicas share. A bucket that would be full again is forgotten.
_TAKE = """
local rate, burst, tokens = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'h', 't')
local held = burst
if kept[1] then held = math.min(burst, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * rate) end
local missing = math.min(tokens, burst) - held
if ARGV[4] == '1' then held = math.max(held - tokens, -burst)
elseif missing <= 0 then held = held - tokens end
redis.call('HSET', KEYS[1], 'h', string.format('%.6f', held), 't', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - held) / rate * 1000) + 1000)
if ARGV[4] ~= '1' and missing > 0 then return string.format('%.6f', missing) end
return string.format('%.6f', -held)
"""


class RedisBuckets:
    """Implements SharedBuckets. `timeout` is seconds that a command may take; `salt` keeps addresses from being read in
    Redis, and meshes that share one apart; `circuit` is that of all uses of this Redis. Each script has one key: it
    runs on a Redis Cluster too."""

    def __init__(self, url: str, *, salt: bytes, timeout: float, circuit: SharedCircuit | None = None) -> None:
        self._client = RedisClient(url, seconds=timeout, most=16)
        self._salt = salt
        self._reach = Reach(circuit)
        self._script = self._client.script(_TAKE)
        self._batches: Batches[Taking, float] = Batches(self._send)

    async def take(self, takings: Sequence[Taking]) -> Sequence[float]:
        """See SharedBuckets. Those of one moment travel together."""
        if self._reach.open:
            raise BucketsDownError
        return await self._batches.ask(takings)

    async def _send(self, takings: Sequence[Taking]) -> Sequence[float]:
        begun = time.monotonic()
        try:
            answers = await self._client.run_all(
                self._script,
                [
                    Call(
                        [self._key(rule.name, asker)],
                        [repr(rule.rate), repr(rule.burst), repr(tokens), "1" if forced else "0"],
                    )
                    for rule, asker, tokens, forced in takings
                ],
            )
        except (RedisError, OSError, TimeoutError) as error:
            self._reach.failed(error, begun)
            raise BucketsDownError from None
        self._reach.succeeded()
        return [float(answer) for answer in answers]

    def _key(self, rule: str, asker: str) -> str:
        digest = blake2b(asker.encode(), digest_size=12, key=self._salt).hexdigest()
        return f"{PREFIX}{rule}:{digest}"

    async def close(self) -> None:
        """See SharedBuckets."""
        await self._client.close()
