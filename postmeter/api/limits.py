"""Rate limits: a bucket of tokens per key, in this process.

`POSTMETER_API_REQUESTS_PER_MINUTE` sets how many requests a key may make in a minute (600,000 unless set). A full bucket
holds one minute's worth and fills all the time.
"""

import os
import time
from dataclasses import dataclass

from postmeter.api.errors import TooMany

REMEMBER_AT_MOST = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limits:
    """What each key has left."""

    def __init__(self, per_minute: int | None = None) -> None:
        self.per_minute = per_minute or int(os.environ.get("POSTMETER_API_REQUESTS_PER_MINUTE", "600000"))
        self._buckets: dict[int, _Bucket] = {}

    def take(self, key_id: int) -> dict[str, str]:
        """Use one token. Returns the headers that say what is left; raises TooMany with when to come back."""
        now, rate = time.monotonic(), self.per_minute / 60
        bucket = self._buckets.get(key_id)
        if bucket is None:
            if len(self._buckets) >= REMEMBER_AT_MOST:
                self._buckets.clear()
            bucket = self._buckets[key_id] = _Bucket(self.per_minute, now)
        bucket.tokens = min(self.per_minute, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            wait = int((1 - bucket.tokens) / rate) + 1
            raise TooMany(
                remedy=f"Wait {wait} s, and send lists instead of single messages.",
                retry_after=wait,
                headers=self._headers(0, wait),
            )
        bucket.tokens -= 1
        return self._headers(int(bucket.tokens), int((self.per_minute - bucket.tokens) / rate) + 1)

    def _headers(self, left: int, reset: int) -> dict[str, str]:
        return {"RateLimit-Limit": str(self.per_minute), "RateLimit-Remaining": str(left), "RateLimit-Reset": str(reset)}
