"""How often somebody may try: counters in Redis, which count for a while and then forget.

None are refused while Redis is away: what they guard has limits of its own (a code is short-lived,
a link counts its failures in its row).
"""

from __future__ import annotations

from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from sites.access import client_ip


def may_try(request: HttpRequest, action: str, *, most: int, seconds: int) -> bool:
    """Count one try from this address; whether it is still within the limit."""
    key = f"try-{action}-{client_ip(request)}"
    try:
        cache.add(key, 0, seconds)
        return cache.incr(key) <= most
    except (RedisError, ValueError):  # ValueError: the counter ended between the two
        return True
