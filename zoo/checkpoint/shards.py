"""The index of a sharded checkpoint: which files it names. Pure."""

from __future__ import annotations

import json

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError

MAX_INDEX = 64 << 20
"""Largest index or config.json in bytes that is read; the largest index known, of a model of 61 layers with 256 experts
each, has 9 MB."""

ADAPTER_CONFIG = "adapter_config.json"
CONFIGS = ("config.json", ADAPTER_CONFIG)
"""Small files beside the weights that decide how they are read."""

SUFFIXES = (".safetensors", ".bin")
"""What shards are."""

MAX_SHARDS = 2000
"""Files that one model may have."""


def shard_names(index: bytes, name: str) -> tuple[str, ...]:
    """Shards in the order in which the index first names them.

    FetchError: 'unreadable' when it is no index, 'unsafe' when a shard is not a plain file name with a usual suffix.
    """
    try:
        found = json.loads(index)
    except (ValueError, RecursionError) as error:
        raise FetchError(Reason.UNREADABLE, f"{name} is not JSON: {error}") from error
    mapped = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(mapped, dict) or not mapped or not all(isinstance(value, str) for value in mapped.values()):
        raise FetchError(Reason.UNREADABLE, f"{name} has no weight_map of tensor names to file names")
    shards = tuple(dict.fromkeys(mapped.values()))
    for shard in shards:
        plain = shard.isprintable() and not any(c in shard for c in "/\\") and len(shard) <= 255
        if not plain or shard.startswith(".") or not shard.endswith(SUFFIXES):
            raise FetchError(
                Reason.UNSAFE, f"{name} names the shard {shard[:80]!r}: expected a plain name in {SUFFIXES}"
            )
    if len(shards) > MAX_SHARDS or len({shard.rpartition(".")[2] for shard in shards}) > 1:
        raise FetchError(Reason.UNSAFE, f"{name} names {len(shards)} shards, or shards of several formats")
    return shards
