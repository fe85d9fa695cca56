"""How many connections the process may have open: each takes a file descriptor."""

import logging
import resource
import sys
from typing import Final

_log = logging.getLogger(__name__)
_OTHERS: Final = 512
"""Descriptors for everything but clients: files, database, workers, deliveries, sources."""


def room(followers: int, *, connections: int) -> int:
    """Return how many of `followers` fit beside as many ordinary `connections`.

    The soft limit of the process is raised as far as they need it and the hard one allows it.
    """
    needed = followers + connections + _OTHERS
    soft, hard = (_number(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    if soft < needed and soft < hard:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if soft >= needed:
        return followers
    most = max(0, soft - connections - _OTHERS)
    _log.warning("followers_bounded wanted=%d most=%d descriptors=%d", followers, most, soft)
    return most


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
