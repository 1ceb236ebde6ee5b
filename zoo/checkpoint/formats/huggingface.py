"""Folders in the Hugging Face layout: config.json beside one weight file, or beside an index of shards.

Preferred are safetensors. sentence-transformers folders are the same with a modules.json. Names in an index are data
from outside: a shard must be a plain file name in the folder. Not covered: other weight files in the folder (ONNX,
TensorFlow, Flax exports of the same model), and adapters beside a base model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
)
"""Names of the weights, the preferred first."""

CONFIGS: dict[str, str] = {"": "config.json", "adapter": "adapter_config.json"}
"""Key under which a configuration is kept ('' for the top) -> its file."""

MAX_INDEX = 64 << 20
"""Largest index or config.json in bytes that is parsed."""


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is one model: weights under one of the usual names, with a config.json or an index."""
    weights = weights_of(folder)
    configured = any((folder / name).is_file() for name in CONFIGS.values())
    return weights is not None and (weights.suffix == ".json" or configured)


def weights_of(folder: Path) -> Path | None:
    """The weight file or index of a folder; None when it has none."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def shards_of(folder: Path) -> tuple[Path, ...]:
    """Weight files of a model folder, in the order of its index; CheckpointError for a bad index or a missing shard."""
    weights = weights_of(folder)
    if weights is None:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{folder} has none of {', '.join(WEIGHTS)}")
    if weights.suffix != ".json":
        return (weights,)
    return tuple(folder / name for name in dict.fromkeys(_weight_map(weights).values()))


def config_of(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, and adapter_config.json under 'adapter'.

    Without what is missing, no JSON object, or absurdly large.
    """
    return configs(folder)[0]


def configs(folder: Path) -> tuple[dict[str, Any], list[Skip]]:
    """What `config_of` gives, and a Skip for a configuration that is there but cannot be read."""
    found: dict[str, Any] = {}
    skips: list[Skip] = []
    for key, name in CONFIGS.items():
        if not (folder / name).is_file():
            continue
        try:
            content = _json(folder / name)
        except CheckpointError as error:
            skips.append(Skip(name, error.reason, f"{error.detail}: read without it, fused weights stay whole", True))
            continue
        found |= {key: content} if key else content
    return found, skips


def open_folder(path: str, open_file: Callable[[str], Checkpoint]) -> Checkpoint:
    """Tensors of all shards in index order, each opened with `open_file`; CheckpointError when a shard is missing."""
    folder = Path(path)
    weights = weights_of(folder)
    mapped = _weight_map(weights) if weights is not None and weights.suffix == ".json" else {}
    config, skips = configs(folder)
    refs: list[TensorRef] = []
    names: set[str] = set()
    for shard in shards_of(folder):
        opened = open_file(str(shard))
        skips += opened.skips
        names.update(opened.globals_seen)
        for ref in opened.tensors:
            if mapped.get(ref.name, shard.name) == shard.name:
                refs.append(ref)
            else:
                detail = f"in {shard.name} too, but the index names {mapped[ref.name]}"
                skips.append(Skip(ref.name, Reason.UNREADABLE, detail, True))
    missing = mapped.keys() - {ref.name for ref in refs} - {skip.tensor for skip in skips}
    skips += [Skip(n, Reason.UNREADABLE, f"in the index, but not in {mapped[n]}", True) for n in mapped if n in missing]
    return Checkpoint("huggingface", tuple(refs), tuple(skips), tuple(sorted(names)), config)


def _weight_map(index: Path) -> dict[str, str]:
    """'weight_map' of an index, tensor name -> shard name, after its shards are checked."""
    mapped = _json(index).get("weight_map")
    if not isinstance(mapped, dict) or not all(isinstance(value, str) for value in mapped.values()):
        raise CheckpointError(Reason.UNREADABLE, f"{index.name} has no weight_map of tensor names to shard names")
    for name in dict.fromkeys(mapped.values()):
        shard = index.parent / name
        if not name or Path(name).name != name or "\\" in name or "\0" in name or name in (".", ".."):
            raise CheckpointError(
                Reason.UNSAFE, f"{index.name} names the shard {name[:80]!r}, which is no plain file name"
            )
        if not shard.is_file():
            raise CheckpointError(
                Reason.UNREADABLE, f"shard {name} is missing: {len(mapped)} tensors are in {index.name}"
            )
    return mapped


def _json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the folder."""
    try:
        if path.stat().st_size > MAX_INDEX:
            raise CheckpointError(Reason.UNSAFE, f"{path.name} is larger than {MAX_INDEX} bytes")
        found = json.loads(path.read_bytes())
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(Reason.UNREADABLE, f"{path.name} holds a JSON {type(found).__name__}, expected an object")
    return found
