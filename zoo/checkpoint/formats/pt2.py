"""torch.export archives (.pt2): zip files with the raw bytes of weights and JSON that describes them.

Since torch 2.8 every model has data/weights/<model>_weights_config.json and a member a weight; before, the state dict
is a torch zip inside the archive. The program is not looked at. Schema: torch/_export/serde/schema.py.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import IO, Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.members import DAMAGE, data_offset, members_of
from zoospectra.zoo.checkpoint.formats.torch_zip import open_range
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef, contiguous_stride, span
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

CONFIGS = ("_weights_config.json", "_constants_config.json")
"""Ends of the members that describe weights and constants."""

STATE = ("serialized_state_dict.pt", "serialized_state_dict.json", "/weights/model.pt", "/weights.pt")
"""Ends of the members that are a torch zip of the state dict, before torch 2.8."""

MAX_CONFIG = 64 << 20
"""Largest description in bytes."""

DTYPES: dict[int, str] = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
}
"""ScalarType of the schema -> torch's name."""


def open_pt2(path: str) -> Checkpoint:
    """Weights, then constants, of every model of an archive; CheckpointError when it is damaged or unsafe."""
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            size = file.seek(0, 2)
            members = members_of(archive, size)
            described = [name for name in members if name.endswith(CONFIGS)]
            if any(name.endswith(CONFIGS[0]) for name in described):
                return _described(path, file, archive, members, described, size)
            nested = [info for name, info in members.items() if name.endswith(STATE)]
            if not nested or nested[0].compress_type != zipfile.ZIP_STORED:
                raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path}: no weights that are known to be such")
            file.seek(nested[0].header_offset)
            return open_range(path, data_offset(nested[0], file.read(30), size), nested[0].file_size)
    except CheckpointError:
        raise
    except DAMAGE as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: damaged archive: {error}") from error


def _described(
    path: str,
    file: IO[bytes],
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    described: list[str],
    size: int,
) -> Checkpoint:
    """Tensors that JSON describes."""
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    models = sum(name.endswith(CONFIGS[0]) for name in described)
    for config in sorted(described, key=lambda name: CONFIGS[1] in name):
        prefix = f"{config.rpartition('/')[2].partition('_weights_config')[0]}." if models > 1 else ""
        for name, entry in _entries(archive, members[config]).items():
            member = members.get(f"{config.rpartition('/')[0]}/{entry.get('path_name')}")
            made = _reference(f"{prefix}{name}", path, file, member, entry, size)
            if isinstance(made, Skip):
                skips.append(made)
            else:
                refs.append(made)
    return Checkpoint("pt2", tuple(refs), tuple(skips))


def _entries(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> dict[str, dict[str, Any]]:
    """Tensors of a description, by name; what is no tensor (a scripted object) is left out."""
    if info.file_size > MAX_CONFIG:
        raise CheckpointError(Reason.UNSAFE, f"{info.filename[:80]} is larger than {MAX_CONFIG} bytes")
    try:
        entries = json.loads(archive.read(info)).get("config")
    except (ValueError, RecursionError, AttributeError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{info.filename[:80]} is no description: {error}") from error
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, dict) and entry.get("tensor_meta")}


def _reference(
    name: str, path: str, file: IO[bytes], info: zipfile.ZipInfo | None, entry: dict[str, Any], size: int
) -> TensorRef | Skip:
    """Reference of a tensor; a Skip when it cannot be read."""
    meta = entry["tensor_meta"] if isinstance(entry["tensor_meta"], dict) else {}
    shape, stride = _integers(meta.get("sizes")), _integers(meta.get("strides"))
    first = _integers([meta.get("storage_offset")])
    dtype = DTYPES.get(meta["dtype"]) if type(meta.get("dtype")) is int else None
    if info is None or shape is None or stride is None or first is None or len(shape) != len(stride):
        return Skip(name, Reason.UNREADABLE, f"described as {str(entry)[:120]}", True)
    if dtype is None or entry.get("use_pickle"):
        what = "pickled by itself" if entry.get("use_pickle") else f"type {str(meta.get('dtype'))[:20]}"
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"{what}: not read", True)
    width = types.itemsize(dtype)
    offset, length = first[0] * width, span(shape, stride) * width
    if offset + length > info.file_size:
        detail = f"bytes {offset} to {offset + length} of a member of {info.file_size}"
        return Skip(name, Reason.UNREADABLE, detail, True)
    own = None if stride == contiguous_stride(shape) else stride
    if info.compress_type != zipfile.ZIP_STORED:
        return TensorRef(name, path, dtype, shape, own, offset, length, info.filename)
    file.seek(info.header_offset)
    return TensorRef(name, path, dtype, shape, own, data_offset(info, file.read(30), size) + offset, length)


def _integers(values: object) -> tuple[int, ...] | None:
    """Known, non-negative integers of the schema: {"as_int": 3}."""
    items = values if isinstance(values, list) and len(values) <= 64 else [None]
    numbers = [item.get("as_int") if isinstance(item, dict) else None for item in items]
    return tuple(numbers) if all(type(n) is int and n >= 0 for n in numbers) else None  # type: ignore[arg-type]
