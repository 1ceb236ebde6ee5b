"""Folders in the Hugging Face layout: config.json beside one weight file, or beside an index of shards.

Which names these are is in zoo.checkpoint.shards. sentence-transformers folders are the same with a modules.json. Not
covered: other weight files in the folder (ONNX, TensorFlow, Flax exports of the same model), adapters beside a base.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.selection import selected
from zoospectra.zoo.checkpoint.shards import CONFIGS, MAX_INDEX, WEIGHTS, weight_map, weights_of
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip


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
    config: dict[str, Any] = {}
    skips: list[Skip] = []
    for key, name in CONFIGS.items():
        if not (folder / name).is_file():
            continue
        try:
            content = _json(folder / name)
        except CheckpointError as error:
            skips.append(Skip(name, error.reason, f"{error.detail}: read without it, fused weights stay whole", True))
            continue
        config |= {key: content} if key else content
    return config, skips


def open_folder(path: str, open_file: Callable[[str], Checkpoint]) -> Checkpoint:
    """Tensors of all shards in index order, each opened with `open_file`; CheckpointError when a shard is missing."""
    folder = Path(path)
    weights = weights_of(folder)
    mapped = _weight_map(weights) if weights is not None and weights.suffix == ".json" else {}
    config, skips = configs(folder)
    refs: list[TensorRef] = []
    names: set[str] = set()
    for shard in shards_of(folder):
        opened = selected(open_file(str(shard)), str(shard), None, published=True)
        config = {**opened.config, **config}
        skips += opened.skips
        names.update(opened.globals_seen)
        for ref in opened.tensors:
            # A tensor counts once: in the shard that the index names, or where it is when the index does not know it.
            if mapped.get(ref.name, shard.name) == shard.name:
                refs.append(ref)
            else:
                detail = f"in {shard.name} too, but the index names {mapped[ref.name]}"
                skips.append(Skip(ref.name, Reason.UNREADABLE, detail, True))
    missing = mapped.keys() - {ref.name for ref in refs} - {skip.tensor for skip in skips}
    skips += [Skip(n, Reason.UNREADABLE, f"in the index, but not in {mapped[n]}", True) for n in mapped if n in missing]
    return Checkpoint("huggingface", tuple(refs), tuple(skips), tuple(sorted(names)), config)


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor name -> shard name of an index, after its shards are checked; CheckpointError when one is missing."""
    mapped = weight_map(_content(index), index.name)
    for name in dict.fromkeys(mapped.values()):
        if not (index.parent / name).is_file():
            detail = f"shard {name} is missing: {len(mapped)} tensors are in {index.name}"
            raise CheckpointError(Reason.UNREADABLE, detail)
    return mapped


def _content(path: Path) -> bytes:
    """A small file of the folder."""
    try:
        if path.stat().st_size > MAX_INDEX:
            raise CheckpointError(Reason.UNSAFE, f"{path.name} is larger than {MAX_INDEX} bytes")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path.name} cannot be read: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the folder."""
    try:
        content = json.loads(_content(path))
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        detail = f"{path.name} holds a JSON {type(content).__name__}, expected an object"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return content
