"""What one process needs to fetch: settings, client, cache; made once and made anew after a fork."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache

from zoospectra.zoo.fetch.cache import Cache
from zoospectra.zoo.fetch.client import Client
from zoospectra.zoo.fetch.settings import Settings, current


@dataclass(frozen=True, slots=True)
class Session:
    """Client and cache under one set of settings."""

    settings: Settings
    """How politely and how much."""
    client: Client
    """Requests."""
    cache: Cache
    """Files of this node."""


def session(settings: Settings | None = None) -> Session:
    """The session of this process for these settings, by default the configured ones."""
    # Connections and held locks do not survive a fork: a child has its own.
    return _session(settings or current(), os.getpid())


@lru_cache(maxsize=8)
def _session(settings: Settings, process: int) -> Session:
    return Session(settings, Client(settings), Cache(settings.cache, settings.cache_bytes))
