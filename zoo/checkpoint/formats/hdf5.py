"""Keras weights: legacy HDF5 (models and weights), .weights.h5 and .keras of Keras 3. Read with h5py, never Keras.

A contiguous data set is referred to by its offset and mapped like any other tensor; a chunked one by its name (codec
'hdf5'). Kernels are given torch's layout by strides, numbered variables of Keras 3 get the names that their layer has
for them (see zoo.checkpoint.layout.keras). Only hard links are followed.
Not covered: the configuration of the model, big-endian files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.hdf5_data import objection, opened
from zoospectra.zoo.checkpoint.layout.keras import relaid, variables
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


def open_hdf5(path: str) -> Checkpoint:
    """Weights of a Keras file, in the file's order; CheckpointError when it is damaged or h5py is missing."""
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    with opened(path) as (file, first, member, size):
        # Behind a user block offsets count from somewhere else than the file's first byte.
        begin = None if file.userblock_size else first
        every = dict(_walk(file, skips))
        kinds = {where: _kind(file, where) for where in every}
        own = _own_names(every, kinds)
        names = {where: variable_name(where, own.get(where)) for where in every}
        taken = Counter(names.values())
        shapes = {names[where]: data.shape or () for where, data in every.items()}
        for where, data in every.items():
            # Two layers of one name in nested models are told apart by their whole paths.
            name = names[where] if taken[names[where]] == 1 else where.replace("/", ".")
            entry = _reference(path, name, data, begin, member, size)
            if isinstance(entry, Skip):
                skips.append(entry)
            else:
                refs.append(relaid(entry, shapes.get(f"{name.rpartition('.')[0]}.bias"), kinds[where]))
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


def _kind(file: h5py.File, where: str) -> str:
    """Name that Keras 3 gives the variables' group: the layer's own, by default that of its class; '' without one."""
    owner = where.rpartition("/")[0]
    name = file[owner].attrs.get("name", "") if owner.endswith("vars") else ""
    return name if isinstance(name, str) else ""


def _own_names(every: dict[str, h5py.Dataset], kinds: dict[str, str]) -> dict[str, str]:
    """Names of the numbered variables of Keras 3."""
    groups: dict[str, dict[int, str]] = {}
    for where in every:
        owner, _, number = where.rpartition("/")
        if owner.endswith("/vars") and number.isdecimal() and len(number) < 7:
            groups.setdefault(owner, {})[int(number)] = where
    own: dict[str, str] = {}
    for owner, members in groups.items():
        shapes = [every[members[number]].shape or () for number in sorted(members)]
        kind = kinds[next(iter(members.values()))]
        names = variables(kind, owner.removesuffix("/vars").rpartition("/")[2], shapes)
        own |= {w: names[number] if number < len(names) else f"vars_{number}" for number, w in members.items()}
    return own


def variable_name(where: str, own: str | None = None) -> str:
    """Name of a variable as its layer knows it: 'conv2d_1.kernel' for 'model_weights/conv2d_1/conv2d_1/kernel:0'.

    own: its name where the file has a number: 'layers.dense.kernel' for 'layers/dense/vars/0' of Keras 3.
    """
    parts = where.removeprefix("model_weights/").split("/")
    parts[-1] = parts[-1].removesuffix(":0")
    if own is not None:
        return ".".join([*parts[:-2], own])
    again = [place for place in range(1, len(parts) - 1) if parts[place] == parts[0]]
    if again:  # Keras 3 writes 'conv2d/sequential/conv2d/kernel'
        parts = parts[again[-1] :]
    elif len(parts) > 2 and parts[1].startswith(parts[0]):  # Keras 2 writes it twice, the second time with a suffix
        parts = [parts[0], *parts[2:]]
    return ".".join(parts)
