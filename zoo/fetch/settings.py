"""How politely, how much, and where to: the settings of every request, shared with worker processes.

`configure` puts them into one environment variable, so that processes started later have them too; on a cluster pass
`environment(settings)` on to the workers. Tokens never travel with them: HF_TOKEN is read where it is used.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "ZOOSPECTRA_FETCH"
"""Environment variable that holds the settings as JSON."""

HUB = "https://huggingface.co"
"""The public hub."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the fetch room; each has a default that a public server can live with."""

    cache: str
    """Folder of this node's cache, shared by all processes of the node; made when it is missing."""
    cache_bytes: int = 50 << 30
    """Bytes that the cache may take on disk."""
    rate: float = 5.0
    """Requests a second to one server, all processes of the node together. The hub grants an anonymous address
    3,000 file requests per five minutes, which is 10 a second (https://huggingface.co/docs/hub/rate-limits)."""
    connections: int = 4
    """Simultaneous requests to one server, all processes of the node together."""
    attempts: int = 6
    """Failures in a row after which one request is given up; progress starts the count anew."""
    base_delay: float = 1.0
    """Seconds before the second attempt; doubles with each further one, with full jitter."""
    max_wait: float = 300.0
    """Longest wait in seconds that a server may ask for; a longer one ends in 'rate_limited'."""
    stop_after: int = 5
    """Answers 429 in a row after which a server is left alone for max_wait seconds."""
    day_bytes: int | None = None
    """Bytes of content that the node may receive on one day (UTC); None means no bound."""
    timeout: float = 30.0
    """Seconds without a byte after which a connection is given up."""
    min_rate: float = 1000.0
    """Bytes a second below which a transfer, after `patience`, is broken off and tried again."""
    patience: float = 30.0
    """Seconds before a slow transfer is judged."""
    coalesce_gap: int = 1 << 16
    """Unwanted bytes between two wanted tensors that one request may read over, to save the second request."""
    coalesce_span: int = 64 << 20
    """Bytes that one coalesced request may hold in memory."""
    header_guess: int = 100_000
    """Bytes of a safetensors file that are asked for at first; most headers fit."""
    endpoint: str = ""
    """The hub; empty means HF_ENDPOINT, else https://huggingface.co. HF_TOKEN is sent there and nowhere else."""

    def __post_init__(self) -> None:
        low = {"cache_bytes": 1, "connections": 1, "attempts": 1, "stop_after": 1, "header_guess": 8}
        for name, least in low.items():
            if getattr(self, name) < least:
                msg = f"fetch.{name}={getattr(self, name)}: expected at least {least}"
                raise ValueError(msg)
        for name in ("rate", "timeout", "max_wait", "patience"):
            if not getattr(self, name) > 0:
                msg = f"fetch.{name}={getattr(self, name)}: expected a positive number"
                raise ValueError(msg)

    @property
    def hub(self) -> str:
        """The hub's address, without a trailing slash."""
        return (self.endpoint or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def environment(settings: Settings) -> dict[str, str]:
    """Environment variables that make another process use the same settings."""
    return {VARIABLE: json.dumps(dataclasses.asdict(settings), sort_keys=True)}


def configure(settings: Settings) -> None:
    """Use these settings in this process and in those that it starts."""
    os.environ.update(environment(settings))


def current() -> Settings:
    """Settings of this process; without `configure`, the defaults with a cache in the user's cache folder."""
    text = os.environ.get(VARIABLE)
    if text is None:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Settings(cache=str(Path(base) / "zoospectra"))
    return Settings(**json.loads(text))


def hub_token() -> str | None:
    """The hub's token, from HF_TOKEN only: never from files that other programs left."""
    return os.environ.get("HF_TOKEN") or None
