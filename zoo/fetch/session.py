"""What one process needs to fetch: settings, client, cache; made once and made anew after a fork."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from zoospectra.zoo.fetch.cache import Cache
from zoospectra.zoo.fetch.client import Client
from zoospectra.zoo.fetch.limiter import Limiter
from zoospectra.zoo.fetch.settings import GB, FetchSettings, current


@dataclass(frozen=True, slots=True)
class Session:
    """Client and cache of this process."""

    client: Client
    """Requests."""
    cache: Cache
    """Files of this node."""


def session() -> Session:
    """The session of this process under the configured settings."""
    # Connections and held locks do not survive a fork: a child has its own.
    return _session(*current(), os.getpid())


@lru_cache(maxsize=8)
def _session(settings: FetchSettings, folder: Path, process: int) -> Session:
    limiter = Limiter(settings, folder / "limiter")
    return Session(Client(settings, limiter), Cache(folder, round(settings.cache_gb * GB)))
