"""Settings of the fetch room from a job's values: gigabytes become bytes, and the cache lies beside the warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoospectra.zoo.fetch.settings import Settings

GB = 10**9


def fetching(values: Mapping[str, Any], warehouse: Path) -> Settings:
    """Settings of conf/fetch/*.yaml's values; ValueError for one that makes no sense."""
    plain = {name: value for name, value in values.items() if not name.endswith("_gb")}
    day = values["day_gb"]
    return Settings(
        cache=str((warehouse / "cache" / "fetch").resolve()),
        cache_bytes=int(values["cache_gb"] * GB),
        day_bytes=None if day is None else int(day * GB),
        **plain,
    )
