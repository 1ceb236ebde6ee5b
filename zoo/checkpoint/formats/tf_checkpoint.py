"""TensorFlow checkpoints (X.index beside X.data-00000-of-00001) and SavedModel folders, which hold one.

The index is a LevelDB table of names and protobuf entries that say where in which data file a tensor's bytes are. What
an optimizer keeps, and counters of saving, are told by TensorFlow's own names for them.
Protocol: tensorflow/core/protobuf/tensor_bundle.proto. Slices of a partitioned variable have keys of their own: a zero
byte, its name, and where they begin (tensorflow/core/util/saved_tensor_slice_util.cc).
Not covered: variables that are partitioned along several axes, big-endian files.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.leveldb_table import entries
from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, Field, fields
from zoospectra.zoo.checkpoint.formats.tf_names import DTYPES, module_name, shape_of
from zoospectra.zoo.checkpoint.formats.tf_objects import KEY, names_of
from zoospectra.zoo.checkpoint.layout import torch_layout
from zoospectra.zoo.checkpoint.mapped import reach, whole
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip, missing

MAX_INDEX = 256 << 20
"""Largest index in bytes; one of 100 000 variables has about 10 MB."""

SLOT = re.compile(
    r"/\.OPTIMIZER_SLOT/|^(.*/)?_?(optimizer|keras_api)/"
    r"|/(Adam|AdamW\w*|Momentum|RMSProp|Adagrad|Adadelta|Ftrl|AdaFactor\w*|SGD|LAMB)(_\d+)?$|/(m|v|adam_[mv])$",
)
"""Names of what an optimizer keeps."""

AVERAGE = re.compile(r"/ExponentialMovingAverage(_\d+)?$|_ema$")
"""Names of averages of variables."""

TRAINING = re.compile(r"^(global_step|beta\d_power(_\d+)?|save_counter|\w*learning_rate|step|iter)$")
"""Names of counters."""


@dataclass(slots=True)
class _Entry:
    """A BundleEntryProto."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    sliced: list[Field] = field(default_factory=list)


def open_saved_model(path: str) -> Checkpoint:
    """Variables of a SavedModel folder; CheckpointError when it has none."""
    index = Path(path) / "variables" / "variables.index"
    if not index.is_file():
        detail = f"{path}: a SavedModel without variables/variables.index: its graph holds everything, or is not whole"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return open_tf_checkpoint(str(index))


def open_tf_checkpoint(path: str) -> Checkpoint:
    """Variables of a checkpoint by its index, in the order of their names; CheckpointError: damaged."""
    try:
        if Path(path).stat().st_size > MAX_INDEX:
            raise CheckpointError(Reason.UNSAFE, f"{path} is larger than {MAX_INDEX} bytes")
        data = whole(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    shards = 1
    names: dict[str, str] = {}
    seen: dict[str, TensorRef] = {}
    slices: dict[str, list[_Entry]] = {}
    for item in entries(data):
        if not item.key:
            shards = _header(data, item.start, item.stop)
            continue
        key, entry = item.key.decode("utf-8", "backslashreplace"), _entry(data, item.start, item.stop)
        if item.key.startswith(b"\0"):  # before every variable, and those of one along its axis in order
            slices.setdefault(item.key[1:].partition(b"\0\1")[0].decode("utf-8", "backslashreplace"), []).append(entry)
            continue
        if key == KEY:
            names = _names(path, entry, shards)
            continue
        made = _variable(path, key, names.get(key), entry, shards, slices.get(key, []))
        if isinstance(made, TensorRef):
            other = seen.setdefault(made.name, made)
            if other is not made:
                made = _again(made, other, module_name(key))
        if isinstance(made, Skip):
            skips.append(made)
        elif made is not None:
            refs.append(made)
    laid = torch_layout(refs, {"metadata": {"format": "tf"}})
    return Checkpoint("tf_checkpoint", laid, tuple(skips))


def _header(data: AnyArray, start: int, stop: int) -> int:
    """Number of data files: 1 num_shards, 2 endianness of a BundleHeaderProto."""
    numbers = {item.number: item.value for item in fields(data, start, stop) if item.wire == VARINT}
    if numbers.get(2):
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, "a TensorFlow checkpoint of a big-endian machine")
    return numbers.get(1, 1)


def _entry(data: AnyArray, start: int, stop: int) -> _Entry:
    """Fields of a BundleEntryProto: 1 dtype, 2 shape, 3 shard_id, 4 offset, 5 size, 7 slices."""
    entry = _Entry()
    for item in fields(data, start, stop):
        match item.number:
            case 1:
                entry.dtype = item.value
            case 2 if item.wire == BYTES:
                entry.shape = shape_of(data, item.start, item.stop)
            case 3:
                entry.shard = item.value
            case 4:
                entry.offset = item.value
            case 5:
                entry.size = item.value
            case 7:
                entry.sliced.append(item)
    return entry


def _again(ref: TensorRef, other: TensorRef, key: str) -> TensorRef | Skip:
    """A second variable of one name: a copy when its bytes are the same, as exports have; else known by its key."""
    if (ref.shape, ref.dtype) == (other.shape, other.dtype) and np.array_equal(_bytes(ref), _bytes(other)):
        return Skip(key, Reason.NOT_THE_MODEL, f"{ref.name} once more, under another path", False)
    return replace(ref, name=key.replace("/", "."))


def _bytes(ref: TensorRef) -> AnyArray:
    """The bytes of a variable, mapped."""
    return reach(np.memmap(ref.path, dtype=np.uint8, mode="r")[ref.offset : ref.offset + ref.nbytes])


def _names(path: str, entry: _Entry, shards: int) -> dict[str, str]:
    """Names of variables by their keys; none where the graph of objects is not where it should be."""
    file = _file(path, entry, shards)
    if not file.is_file() or entry.offset + entry.size > file.stat().st_size or not entry.size:
        return {}
    return names_of(str(file), entry.offset, entry.size)


def _file(path: str, entry: _Entry, shards: int) -> Path:
    """The data file that has an entry's values."""
    return Path(path).with_suffix(f".data-{entry.shard:05}-of-{shards:05}")


def _variable(
    path: str, key: str, own: str | None, entry: _Entry, shards: int, slices: list[_Entry]
) -> TensorRef | Skip | None:
    """Reference of a variable, put together where it is partitioned; a Skip for what is none, None for text."""
    name = (own or module_name(key)).replace("/", ".")
    dtype = DTYPES.get(entry.dtype)
    if dtype == "string":
        return None
    if dtype is None:
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"TensorFlow type {entry.dtype} is not read", True)
    if SLOT.search(key):
        return Skip(name, Reason.OPTIMIZER_STATE, f"{key[:200]}: of the optimizer", False)
    if AVERAGE.search(key) or TRAINING.search(name):
        return Skip(name, Reason.NOT_THE_MODEL, f"{key[:200]}: an average, or a counter of training", False)
    if entry.sliced:
        return _whole(name, entry, [_reference(path, name, dtype, part, shards) for part in slices])
    return _reference(path, name, dtype, entry, shards)


def _whole(name: str, entry: _Entry, parts: list[TensorRef | Skip]) -> TensorRef | Skip:
    """A partitioned variable of its slices along one axis; a Skip where they are not all there, or along several."""
    refs = [part for part in parts if isinstance(part, TensorRef)]
    fit = bool(refs) and len(refs) == len(parts) and all(len(ref.shape) == len(entry.shape) for ref in refs)
    cut = [a for a, size in enumerate(entry.shape) if any(ref.shape[a] != size for ref in refs)] if fit else []
    if not fit or len(cut) > 1 or (cut and sum(ref.shape[cut[0]] for ref in refs) != entry.shape[cut[0]]):
        detail = f"a partitioned variable: {len(refs)} of its {len(entry.sliced)} slices make no {entry.shape}"
        return Skip(name, Reason.UNREADABLE, detail, True)
    size = sum(ref.nbytes for ref in refs)
    axis = cut[0] if cut else 0
    return refs[0] if not cut else replace(refs[0], shape=entry.shape, nbytes=size, parts=tuple(refs), axis=axis)


def _reference(path: str, name: str, dtype: str, entry: _Entry, shards: int) -> TensorRef | Skip:
    """Where the values of an entry are."""
    file = _file(path, entry, shards)
    needed = math.prod(entry.shape) * types.itemsize(dtype)
    if needed != entry.size:
        detail = f"shape {entry.shape} of {dtype} needs {needed} bytes, the index gives {entry.size}"
        return Skip(name, Reason.UNREADABLE, detail, True)
    if not file.is_file() or entry.offset + needed > file.stat().st_size:
        detail = f"{file.name} is missing, or ends before byte {entry.offset + needed}"
        return Skip(name, missing(file), detail, True)
    return TensorRef(name, str(file), dtype, entry.shape, None, entry.offset, needed)
