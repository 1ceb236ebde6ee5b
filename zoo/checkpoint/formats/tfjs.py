"""TensorFlow.js: a folder with model.json, whose weightsManifest names groups of shards and the tensors in them.

The shards of a group are one run of bytes, and tensors lie in it one behind the other, across the borders of shards.
8- and 16-bit codes are q scale + min. Names of shards must be those of plain files in the folder.
Format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts. Not covered: strings.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.layout import torch_layout
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip, missing

MODEL = "model.json"

MAX_MODEL = 64 << 20
"""Largest model.json in bytes."""

MAX_SHARDS = 10_000
"""Most shards of a group."""

DTYPES = frozenset({"float32", "float16", "int32", "bool", "uint8", "uint16", "complex64"})


def open_tfjs(path: str) -> Checkpoint:
    """Tensors of all groups in their order; CheckpointError when model.json is damaged."""
    folder = Path(path)
    try:
        if (folder / MODEL).stat().st_size > MAX_MODEL:
            raise CheckpointError(Reason.UNSAFE, f"{MODEL} is larger than {MAX_MODEL} bytes")
        model = json.loads((folder / MODEL).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(Reason.UNREADABLE, f"{MODEL} cannot be read: {error}") from error
    groups = model.get("weightsManifest") if isinstance(model, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise CheckpointError(Reason.UNREADABLE, f"{MODEL} has no weightsManifest of groups")
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    affine: dict[str, dict[str, float]] = {}
    for group in groups:
        shards = _shards(folder, group.get("paths"))
        at = 0
        for entry in group.get("weights") if isinstance(group.get("weights"), list) else ():
            name, dtype, shape, stored = _described(entry)
            needed = math.prod(shape) * types.itemsize(stored)
            made = _reference(name, stored, shape, shards, at, needed)
            at += needed
            if isinstance(made, Skip):
                skips.append(made)
                continue
            refs.append(made)
            if stored not in (dtype, "float16"):
                affine[name] = _affine(entry)
    laid = torch_layout(refs, {"metadata": {"format": "tf"}})
    renamed = {ref.name: affine[before.name] for ref, before in zip(laid, refs, strict=True) if before.name in affine}
    return Checkpoint("tfjs", laid, tuple(skips), config={"affine": renamed})


def _shards(folder: Path, names: object) -> list[tuple[Path, int]]:
    """Shards of a group and their sizes; size -1 for one that is missing. CheckpointError for a name that is none."""
    if not isinstance(names, list) or len(names) > MAX_SHARDS:
        raise CheckpointError(Reason.UNREADABLE, f"{MODEL} names {str(names)[:80]} as shards")
    shards = []
    for name in names:
        if not isinstance(name, str) or any(c in name for c in "/\\\0") or name.startswith(".") or len(name) > 255:
            raise CheckpointError(Reason.UNSAFE, f"{MODEL} names the shard {str(name)[:80]!r}: expected a plain name")
        file = folder / name
        shards.append((file, file.stat().st_size if file.is_file() and not file.is_symlink() else -1))
    return shards


def _described(entry: object) -> tuple[str, str, tuple[int, ...], str]:
    """Name, type, shape and stored type of a tensor."""
    weight: dict[str, Any] = entry if isinstance(entry, dict) else {}
    name, dtype, shape = weight.get("name"), weight.get("dtype"), weight.get("shape")
    packed = weight.get("quantization")
    stored = packed.get("dtype") if isinstance(packed, dict) else dtype
    sizes = shape if isinstance(shape, list) and len(shape) <= 64 else [-1]
    if not isinstance(name, str) or stored not in DTYPES or not all(type(n) is int and 0 <= n < 1 << 48 for n in sizes):
        # Where the next tensor begins is not known behind one of unknown size.
        raise CheckpointError(Reason.UNSUPPORTED_DTYPE, f"{MODEL} describes a tensor as {str(entry)[:120]}")
    return name, str(dtype), tuple(sizes), str(stored)


def _affine(entry: dict[str, Any]) -> dict[str, float]:
    """Scale and smallest value of codes."""
    packed = entry["quantization"]
    numbers = {key: packed.get(key) for key in ("scale", "min")}
    return {key: float(n) for key, n in numbers.items() if isinstance(n, (int, float)) and math.isfinite(n)}


def _reference(
    name: str, dtype: str, shape: tuple[int, ...], shards: list[tuple[Path, int]], at: int, needed: int
) -> TensorRef | Skip:
    """Reference of bytes `at` to `at + needed` of a group; of several parts where a shard ends in between."""
    parts: list[TensorRef] = []
    begin, width = 0, types.itemsize(dtype)
    for file, size in shards:
        first, stop = max(at, begin), min(at + needed, begin + max(size, 0))
        if size < 0:
            return Skip(name, missing(file), f"shard {file.name} is missing, or a link", True)
        if first < stop or (not needed and not parts):
            length = max(stop - first, 0)
            parts.append(TensorRef(name, str(file), dtype, (length // width,), None, first - begin, length))
        begin += size
    if sum(part.nbytes for part in parts) != needed or any(part.nbytes % width for part in parts):
        return Skip(name, Reason.UNREADABLE, f"bytes {at} to {at + needed} are not in the shards, of {begin}", True)
    if len(parts) == 1:
        return TensorRef(name, parts[0].path, dtype, shape, None, parts[0].offset, needed)
    return TensorRef(name, parts[0].path, dtype, shape, None, 0, needed, parts=tuple(parts))
