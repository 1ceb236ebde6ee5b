"""A model as a folder, local or remote: the names of its weights, and the shards that an index names.

Names in an index are data from outside: every one must be that of a plain file beside it.
"""

from __future__ import annotations

import json
from pathlib import Path

from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "adapters.safetensors",
)
"""Names of the weights, the preferred first."""

ADAPTER_CONFIG = "adapter_config.json"

CONFIGS: dict[str, str] = {"": "config.json", "adapter": ADAPTER_CONFIG}
"""Key under which a configuration is kept ('' for the top) -> its file, which decides how the weights are read."""

MAX_INDEX = 64 << 20
"""Largest index or config.json in bytes that is read; the largest index known, of a model of 61 layers with 256 experts
each, has 9 MB."""

SUFFIXES = (".safetensors", ".bin")
"""What shards are."""

MAX_SHARDS = 2000
"""Files that one model may have."""


def weights_of(folder: Path) -> Path | None:
    """The weight file or index of a folder; None when it has none."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is one model: weights under one of the usual names, with a config.json or an index."""
    weights = weights_of(folder)
    configured = any((folder / name).is_file() for name in CONFIGS.values())
    return weights is not None and (weights.suffix == ".json" or configured)


def weight_map(index: bytes, name: str) -> dict[str, str]:
    """Tensor name -> name of its shard, in the order of the index called `name`.

    CheckpointError: 'unreadable' when it is no index, 'unsafe' when a shard is no plain file name with a usual suffix.
    """
    try:
        content = json.loads(index)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{name} is not JSON: {error}") from error
    mapped = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(mapped, dict) or not mapped or not all(isinstance(shard, str) for shard in mapped.values()):
        raise CheckpointError(Reason.UNREADABLE, f"{name} has no weight_map of tensor names to shard names")
    shards = set(mapped.values())
    for shard in shards:
        # The name becomes part of a path: no folder, no hidden file, nothing but a weight file.
        plain = shard.isprintable() and not any(c in shard for c in "/\\") and len(shard) <= 255
        if not plain or shard.startswith(".") or not shard.endswith(SUFFIXES):
            detail = f"{name} names the shard {shard[:80]!r}: expected a plain name in {SUFFIXES}"
            raise CheckpointError(Reason.UNSAFE, detail)
    if len(shards) > MAX_SHARDS or len({shard.rpartition(".")[2] for shard in shards}) > 1:
        raise CheckpointError(Reason.UNSAFE, f"{name} names {len(shards)} shards, or shards of several formats")
    return mapped
