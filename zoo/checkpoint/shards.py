"""A model as several files, local or remote: the names of its weights, the shards that an index or a number names.

Names in an index are data from outside: every one must be that of a plain file beside it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from pathlib import Path

from zoospectra.zoo.checkpoint.plain import may_be_file, plain_file
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
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


STEMS = r"model|diffusion_pytorch_model|pytorch_model"

VARIANT = re.compile(rf"(?:{STEMS})\.(?P<variant>[\w-]+?)(?:-\d{{5}}-of-\d{{5}})?\.(?:safetensors|bin)")
"""Weights in another precision, or of an average: 'model.fp16.safetensors'."""

VARIANT_INDEX = re.compile(rf"(?:{STEMS})\.(?:safetensors|bin)\.index\.(?P<variant>[\w-]+)\.json")

SPLIT = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
"""One of several files with different tensors each, as llama.cpp and transformers name them."""

RANK = re.compile(r"(?P<stem>consolidated)\.(?P<part>\d{2})(?P<suffix>\.(?:pth|pt|safetensors))")
"""One of several files with a part of every tensor each, as Meta names them."""

RANK_FOLDER = re.compile(r"mp_rank_\d{2,3}(?:_\d{3})?")
"""The same as folders, as Megatron names them; the second number is a stage of a pipeline."""


def weights_name(names: Collection[str]) -> str | None:
    """The weights among the names of a folder's files: the usual names first, then a variant's, then the first shard of
    an index that is lost; None when there are none.
    """
    usual = next((name for name in WEIGHTS if name in names), None)
    if usual is not None:
        return usual
    variants = [name for name in names if VARIANT_INDEX.fullmatch(name) or VARIANT.fullmatch(name)]
    shards = [name for name in names if (match := SPLIT.fullmatch(name)) and re.fullmatch(STEMS, match["stem"])]
    return min(variants, key=lambda name: (not name.endswith(".json"), name), default=min(shards, default=None))


def weights_of(folder: Path) -> Path | None:
    """The weight file or index of a folder; None when it has none."""
    name = weights_name([name for name in _names(folder) if may_be_file(folder / name)])
    return folder / name if name else None


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is one model: weights under one of the usual names, with a config.json or an index."""
    weights = weights_of(folder)
    configured = any(may_be_file(folder / name) for name in CONFIGS.values())
    return weights is not None and (weights.suffix == ".json" or configured)


def split_of(path: Path) -> dict[str, Path | None]:
    """Files of the model that a numbered file is a part of, by name and in order, None for one that is missing; empty
    when it is a whole model. CheckpointError: 'unsafe' for a name that says more parts than a model may have.
    """
    match = SPLIT.fullmatch(path.name)
    if match is None:
        return {}
    count = int(match["count"])
    if not 1 <= int(match["part"]) <= count <= MAX_SHARDS:
        raise CheckpointError(Reason.UNSAFE, f"{path.name} is part {match['part']} of {count}, at most {MAX_SHARDS}")
    names = [f"{match['stem']}-{part:05}-of-{count:05}{match['suffix']}" for part in range(1, count + 1)]
    return {name: path.parent / name if (path.parent / name).is_file() else None for name in names}


def ranks_of(path: Path) -> list[Path]:
    """Files of all ranks of the tensor-parallel model that a file is one rank of; empty when it is a whole model.

    CheckpointError: 'unsafe' for more ranks than a model may have files.
    """
    match = RANK.fullmatch(path.name)
    if match is not None:
        names = [name for name in _names(path.parent) if (m := RANK.fullmatch(name)) and m["suffix"] == match["suffix"]]
        files = [path.parent / name for name in names]
    elif RANK_FOLDER.fullmatch(path.parent.name):
        folders = [name for name in _names(path.parent.parent) if RANK_FOLDER.fullmatch(name)]
        files = [path.parent.parent / name / path.name for name in folders]
    else:
        return []
    files = [file for file in files if file.is_file()]
    if len(files) > MAX_SHARDS:
        raise CheckpointError(Reason.UNSAFE, f"{len(files)} ranks beside {path.name}, at most {MAX_SHARDS}")
    return files if len(files) > 1 else []


def _names(folder: Path) -> list[str]:
    """Names in a folder, sorted; none when it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


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
    check_shards(set(mapped.values()), name, SUFFIXES)
    return mapped


def keras_shards(index: bytes, name: str) -> tuple[str, ...]:
    """Files that Keras 3's '<stem>.weights.json' called `name` names, in order; CheckpointError as `weight_map`."""
    try:
        mapped = json.loads(index)["weight_map"]
        shards = [shard for held in mapped.values() for shard in ([held] if isinstance(held, str) else held)]
        check_shards(set(shards), name, (".weights.h5",))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(Reason.UNREADABLE, f"{name} has no weight_map of variables to files: {error}") from error
    return tuple(dict.fromkeys(shards))


def check_shards(shards: Collection[str], index: str, suffixes: tuple[str, ...]) -> None:
    """CheckpointError 'unsafe' when an index names anything but plain weight files beside it, or too many."""
    for shard in shards:
        # The name becomes part of a path: no folder, no hidden file, nothing but a weight file.
        plain = shard.isprintable() and not any(c in shard for c in "/\\") and len(shard) <= 255
        if not plain or shard.startswith(".") or not shard.endswith(suffixes):
            detail = f"{index} names the shard {shard[:80]!r}: expected a plain name in {suffixes}"
            raise CheckpointError(Reason.UNSAFE, detail)
    if len(shards) > MAX_SHARDS or len({shard.rpartition(".")[2] for shard in shards}) > 1:
        raise CheckpointError(Reason.UNSAFE, f"{index} names {len(shards)} shards, or shards of several formats")


def small(path: Path) -> bytes:
    """A small file of a folder, an index or a configuration; CheckpointError when it is large or cannot be read."""
    try:
        if plain_file(path).st_size > MAX_INDEX:
            raise CheckpointError(Reason.UNSAFE, f"{path.name} is larger than {MAX_INDEX} bytes")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path.name} cannot be read: {error}") from error
