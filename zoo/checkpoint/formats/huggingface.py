"""Folders in the Hugging Face layout: config.json beside one weight file, or beside an index of shards.

Which names these are is in zoo.checkpoint.shards, what else may lie beside them in zoo.checkpoint.folder.
sentence-transformers folders are the same with a modules.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoospectra.zoo.checkpoint.folder import listing
from zoospectra.zoo.checkpoint.formats.sharded import files_of, open_sharded
from zoospectra.zoo.checkpoint.formats.table import SUFFIXES
from zoospectra.zoo.checkpoint.plain import may_be_file
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.selection import selected
from zoospectra.zoo.checkpoint.shards import CONFIGS, WEIGHTS, small, weight_map, weights_of
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip, missing


def shards_of(folder: Path) -> tuple[Path, ...]:
    """Weight files of a model folder, in the order of its index; CheckpointError for a bad index or a missing shard."""
    weights = weights_of(folder)
    if weights is None:
        try:
            held = os.listdir(folder)
        except OSError as error:
            raise CheckpointError(Reason.UNREADABLE, f"{folder}: {error.strerror}") from error
        if not held:
            raise CheckpointError(Reason.INACCESSIBLE, f"{folder} is empty: is it mounted here?")
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{folder} has none of {', '.join(WEIGHTS)}")
    if weights.suffix != ".json":
        return files_of(weights)
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
        if not may_be_file(folder / name):
            continue
        try:
            content = _json(folder / name)
        except CheckpointError as error:
            skips.append(Skip(name, error.reason, f"{error.detail}: read without it, fused weights stay whole", True))
            continue
        config |= {key: content} if key else content
    return config, skips


def open_folder(path: str, open_file: Callable[[str], Checkpoint]) -> Checkpoint:
    """Tensors of all shards in index order, each opened with `open_file`; CheckpointError when a shard is missing.

    What lies beside them and is the same model once more, or what its trainer left, has a row.
    """
    folder = Path(path)
    weights = weights_of(folder)
    shards = shards_of(folder)
    config, skips = configs(folder)
    skips += _beside(folder, [shard.name for shard in shards])
    if weights is not None and weights.suffix == ".json":
        return _indexed(folder, _weight_map(weights), open_file, config, skips)
    first = str(shards[0])
    whole = open_sharded(shards[0], open_file) or selected(open_file(first), first, None, published=True)
    return replace(
        whole,
        format="huggingface",
        skips=(*skips, *whole.skips),
        config={**whole.config, **config},
        contents=None,
    )


def _beside(folder: Path, read: Collection[str]) -> list[Skip]:
    """Rows for the files of a model's folder that are no models of their own."""
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    weights = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    return [Skip(row.name, row.reason, row.why, False) for row in listing(names, weights, read).beside]


def _indexed(
    folder: Path,
    mapped: Mapping[str, str],
    open_file: Callable[[str], Checkpoint],
    config: dict[str, Any],
    skips: list[Skip],
) -> Checkpoint:
    """Tensors of the shards that an index names."""
    refs: list[TensorRef] = []
    names: set[str] = set()
    for shard in dict.fromkeys(folder / name for name in mapped.values()):
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
    mapped = weight_map(small(index), index.name)
    for name in dict.fromkeys(mapped.values()):
        if not (index.parent / name).is_file():
            detail = f"shard {name} is missing: {len(mapped)} tensors are in {index.name}"
            raise CheckpointError(missing(index.parent / name), detail)
    return mapped


def _json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the folder."""
    try:
        content = json.loads(small(path))
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        detail = f"{path.name} holds a JSON {type(content).__name__}, expected an object"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return content
