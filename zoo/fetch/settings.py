"""How politely, how much, and where to: the settings of every request, shared with worker processes.

`configure` puts them into one environment variable, so that processes started later have them too; on a cluster the
variable is passed on to the workers. Where the hub is and its token never travel with them: HF_ENDPOINT and HF_TOKEN
are read where they are used.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "ZOOSPECTRA_FETCH"
"""Environment variable that holds the settings and the cache's folder as JSON."""

HUB = "https://huggingface.co"
"""The public hub."""

GB = 10**9
"""Bytes in a gigabyte."""


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How politely and how much is fetched: the schema of conf/fetch/*.yaml. All bounds hold for one node."""

    cache_gb: float = 50.0
    """Gigabytes (10^9 bytes) that the cache may take on disk."""
    rate: float = 5.0
    """Requests a second to one server, all processes of the node together. The hub grants an anonymous address
    3,000 file requests per five minutes, which is 10 a second (https://huggingface.co/docs/hub/rate-limits)."""
    connections: int = 4
    """Simultaneous requests to one server, all processes of the node together."""
    ahead: int = 2
    """Models of a remote zoo that are fetched at once before they are opened, all nodes together; 0 for none. What
    waits to be opened takes at most half of cache_gb; a larger model, or one above 4 GiB, is fetched as it is read."""
    attempts: int = 6
    """Failures in a row after which one request is given up; progress starts the count anew."""
    max_wait: float = 300.0
    """Longest wait in seconds that a server may ask for; a longer one ends in 'rate_limited'."""
    day_gb: float | None = None
    """Gigabytes (10^9 bytes) of content that the node may receive on one day (UTC); None means no bound."""
    timeout: float = 30.0
    """Seconds without a byte after which a connection is given up."""

    def __post_init__(self) -> None:
        for name in ("cache_gb", "rate", "max_wait", "day_gb", "timeout"):
            value = getattr(self, name)
            if not (value is None or 0 < value < math.inf):
                msg = f"{name}={value}: expected a positive number" + (", or null" if name == "day_gb" else "")
                raise ValueError(msg)
        for name in ("connections", "attempts"):
            if getattr(self, name) < 1:
                msg = f"{name}={getattr(self, name)}: expected at least 1"
                raise ValueError(msg)
        if self.ahead < 0:
            msg = f"ahead={self.ahead}: expected 0 or more"
            raise ValueError(msg)


def environment(settings: FetchSettings, cache: Path) -> dict[str, str]:
    """Environment variables that make another process use the same settings and the same cache folder."""
    values = {"cache": str(cache.absolute()), **dataclasses.asdict(settings)}
    return {VARIABLE: json.dumps(values, sort_keys=True)}


def configure(settings: FetchSettings, cache: Path) -> None:
    """Use these settings and this cache folder in this process and in those that it starts."""
    os.environ.update(environment(settings, cache))


def current() -> tuple[FetchSettings, Path]:
    """Settings and cache folder of this process; without `configure`, the defaults and the user's cache folder."""
    text = os.environ.get(VARIABLE)
    if text is None:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return FetchSettings(), Path(base) / "zoospectra"
    values = json.loads(text)
    cache = Path(values.pop("cache"))
    return FetchSettings(**values), cache


def hub_url() -> str:
    """The hub's address without a trailing slash: HF_ENDPOINT, else the public hub's."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def hub_token() -> str | None:
    """The hub's token, from HF_TOKEN only: never from files that other programs left."""
    return os.environ.get("HF_TOKEN") or None
