"""Keras weights: legacy HDF5 (models and weights), .weights.h5 and .keras of Keras 3. Read with h5py, never Keras.

A contiguous data set is referred to by its offset and mapped like any other tensor; a chunked one by its name (codec
'hdf5'). Kernels are given torch's layout by strides (see channels_last). Only hard links are followed. Keras 3 writes
numbers instead of names ('layers/dense/vars/0'): they are named after the layer's kind, which its group's name says.
Not covered: the configuration of the model, custom layers' own variable names in Keras 3, big-endian files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.channels_last import relaid
from zoospectra.zoo.checkpoint.formats.hdf5_data import objection, opened
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

if TYPE_CHECKING:
    import h5py

OPTIMIZERS = frozenset({"optimizer_weights", "optimizer"})
"""Groups of the top that hold the optimizer."""

MAX_VISITS = 200_000
"""Most links followed."""

MAX_DEPTH = 64
"""Deepest group."""

VARIABLES: dict[str, tuple[str, ...]] = {
    "embedding": ("embeddings",),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "separable_conv": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "depthwise_conv": ("depthwise_kernel", "bias"),
    "cell": ("kernel", "recurrent_kernel", "bias"),
    "seed_generator": ("seed",),
}
"""Start of a layer's snake-case name in Keras 3 -> names of its variables; any other has a kernel and a bias."""


def open_hdf5(path: str) -> Checkpoint:
    """Weights of a Keras file, in the file's order; CheckpointError when it is damaged or h5py is missing."""
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    with opened(path) as (file, first, member, size):
        # Behind a user block offsets count from somewhere else than the file's first byte.
        begin = None if file.userblock_size else first
        every = list(_walk(file, skips))
        names = Counter(variable_name(where) for where, _ in every)
        for where, data in every:
            # Two layers of one name in nested models are told apart by their whole paths.
            name = variable_name(where) if names[variable_name(where)] == 1 else where.replace("/", ".")
            entry = _reference(path, name, data, begin, member, size)
            if isinstance(entry, Skip):
                skips.append(entry)
            else:
                refs.append(relaid(entry))
    return Checkpoint("keras" if member else "hdf5", tuple(refs), tuple(skips))


def _walk(file: h5py.File, skips: list[Skip]) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every data set below the weights' group; a Skip for links to elsewhere and one for the optimizer."""
    import h5py

    top = "model_weights" if "model_weights" in file else ""
    waiting: list[tuple[str, h5py.Group, int]] = [(top, file[top] if top else file, 0)]
    seen = {h5py.h5o.get_info(waiting[0][1].id).addr}
    visits = 0
    for name in file:
        if name in OPTIMIZERS:
            held = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else ()
            skips.append(Skip(name, Reason.OPTIMIZER_STATE, f"{len(held)} entries of the optimizer", False))
    while waiting:
        path, group, depth = waiting.pop()
        below = []
        for name in sorted(group, key=_natural) if "layer_names" not in group.attrs else _listed(group):
            visits += 1
            if visits > MAX_VISITS or depth > MAX_DEPTH:
                raise CheckpointError(Reason.UNSAFE, f"more than {MAX_VISITS} links, or nested deeper than {MAX_DEPTH}")
            where = f"{path}/{name}" if path else name
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                detail = f"a link to {str(getattr(link, 'filename', getattr(link, 'path', '?')))[:80]}: not followed"
                skips.append(Skip(where, Reason.UNSAFE, detail, True))
                continue
            if where in OPTIMIZERS:
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield where, item
            elif isinstance(item, h5py.Group):
                address = h5py.h5o.get_info(item.id).addr
                if address not in seen:  # hard links may make circles
                    seen.add(address)
                    below.append((where, item, depth + 1))
        waiting.extend(reversed(below))


def _listed(group: h5py.Group) -> list[str]:
    """Members of a legacy weights group in the order of the model, as far as its list of names is one."""
    names = [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in group.attrs["layer_names"]]
    first = [name for name in dict.fromkeys(names) if name in group]
    return first + [name for name in group if name not in set(first)]


def _natural(name: str) -> list[tuple[int, str]]:
    """Order in which conv2d_10 comes behind conv2d_9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _reference(
    path: str, name: str, data: h5py.Dataset, begin: int | None, member: str | None, size: int
) -> TensorRef | Skip:
    """Reference of one data set; a Skip when it must not, or cannot, be read."""
    refused = objection(data, size)
    if refused:
        return Skip(name, Reason.UNSAFE, refused, True)
    dtype = "bfloat16" if data.dtype.kind == "V" and data.attrs.get("dtype") == "bfloat16" else data.dtype.name
    if data.shape is None or dtype not in types.CARRIERS or data.dtype.byteorder == ">":
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"HDF5 type {data.dtype.str[:40]} is not read", True)
    shape = tuple(int(length) for length in data.shape)
    length = types.nbytes(shape, dtype)
    offset = data.id.get_offset()
    if offset is None and data.chunks is None and length and data.id.get_storage_size() == 0:
        return Skip(name, Reason.UNREADABLE, "space was reserved, but nothing was ever written", True)
    # A contiguous data set of a plain or stored file is mapped; any other is read by h5py under its name.
    if offset is not None and begin is not None and data.chunks is None:
        if offset + length > size:
            return Skip(name, Reason.UNREADABLE, f"bytes {offset} to {offset + length} of a file of {size}", True)
        return TensorRef(name, path, dtype, shape, None, begin + offset, length)
    inside = data.name if member is None else f"{member}::{data.name}"
    return TensorRef(name, path, dtype, shape, None, 0, length, inside, "hdf5")


def variable_name(where: str) -> str:
    """Name of a variable as its layer knows it: 'conv2d_1.kernel' for 'model_weights/conv2d_1/conv2d_1/kernel:0'.

    'layers.dense.kernel' for 'layers/dense/vars/0' of Keras 3.
    """
    parts = where.removeprefix("model_weights/").split("/")
    parts[-1] = parts[-1].removesuffix(":0")
    if len(parts) > 2 and parts[-2] == "vars" and parts[-1].isdigit():
        owner, number = parts[-3], int(parts[-1])
        names = next((v for kind, v in VARIABLES.items() if owner.startswith(kind)), ("kernel", "bias"))
        return ".".join([*parts[:-2], names[number] if number < len(names) else f"vars_{number}"])
    again = [place for place in range(1, len(parts) - 1) if parts[place] == parts[0]]
    if again:  # Keras 3 writes 'conv2d/sequential/conv2d/kernel'
        parts = parts[again[-1] :]
    elif len(parts) > 2 and parts[1].startswith(parts[0]):  # Keras 2 writes it twice, the second time with a suffix
        parts = [parts[0], *parts[2:]]
    return ".".join(parts)
