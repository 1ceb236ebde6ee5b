"""HDF5 files, plain or inside a .keras archive: opening them, and what a data set must be before it is read.

The HDF5 library follows links to other files and loads filter plug-ins from disk; neither happens here: only data sets
whose bytes are in this file, under filters that are built in, and no larger than the file explains.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.formats.members import DAMAGE, MAX_EXPANSION, SMALL, data_offset, members_of
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

if TYPE_CHECKING:
    import h5py

WEIGHTS = "model.weights.h5"
"""Member of a .keras archive that holds the weights."""

FILTERS = frozenset({1, 2, 3, 32000})
"""Deflate, shuffle, checksum, lzf: the filters that come with h5py; any other would be loaded from a folder."""

MAX_INFLATED = 1 << 30
"""Largest compressed weights member in bytes that is inflated into memory; Keras stores its member as it is."""

FAILURES = (*DAMAGE, KeyError, TypeError, AttributeError, AssertionError, MemoryError)
"""What h5py may raise over a damaged file."""


class Opened(NamedTuple):
    """An HDF5 file, alone or a member of an archive."""

    file: h5py.File
    """What h5py reads."""
    begin: int | None
    """Where its bytes begin in the path; None when they are compressed."""
    member: str | None
    """Its name in the archive; None for a file of its own."""
    size: int
    """Bytes of the HDF5 data."""


@contextmanager
def opened(path: str) -> Iterator[Opened]:
    """The HDF5 data of a file or a .keras archive; CheckpointError when it has none, or h5py is missing."""
    try:
        import h5py
    except ImportError as error:
        detail = "HDF5 and .keras files need the package h5py: pip install 'zoospectra[formats]'"
        raise CheckpointError(Reason.MISSING_READER, detail) from error
    try:
        # A .keras file is an archive: h5py reads its member through a seekable stream, inflated first when it must be.
        if not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as file:
                yield Opened(file, 0, None, Path(path).stat().st_size)
            return
        with zipfile.ZipFile(path) as archive, Path(path).open("rb") as raw:
            size = raw.seek(0, 2)
            members = members_of(archive, size)
            if WEIGHTS not in members:
                raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path}: an archive without {WEIGHTS}")
            info = members[WEIGHTS]
            begin: int | None = None
            if info.compress_type == zipfile.ZIP_STORED:
                raw.seek(info.header_offset)
                begin = data_offset(info, raw.read(30), size)
            elif info.file_size > MAX_INFLATED:
                raise CheckpointError(
                    Reason.UNSAFE, f"{WEIGHTS} inflates to {info.file_size} bytes, at most {MAX_INFLATED}"
                )
            with archive.open(info) as member:
                stream = member if begin is not None else io.BytesIO(member.read(MAX_INFLATED))
                with h5py.File(stream, "r") as file:
                    yield Opened(file, begin, WEIGHTS, info.file_size)
    except CheckpointError:
        raise
    except FAILURES as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: damaged HDF5 file: {str(error)[:200]}") from error


def objection(data: h5py.Dataset, size: int) -> str | None:
    """Why a data set of a file of `size` bytes must not be read; None when it may."""
    if data.external or data.is_virtual:
        return "its values are in another file"
    needed = math.prod(data.shape or ()) * data.dtype.itemsize
    held = min(size, data.id.get_storage_size())
    if needed > max(SMALL, MAX_EXPANSION * held):
        return f"{needed} bytes of which the file holds {held}"
    properties = data.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if filters - FILTERS:
        return f"compressed by the filters {sorted(filters - FILTERS)}, which are not built in"
    if data.chunks is not None and math.prod(data.chunks) * data.dtype.itemsize > max(SMALL, MAX_EXPANSION * size):
        return f"chunks of {math.prod(data.chunks)} elements in a file of {size}"
    return None


def dataset_bytes(ref: TensorRef) -> NDArray[np.uint8]:
    """The bytes of a chunked data set; CheckpointError when it changed, or must not be read."""
    assert ref.member is not None
    name = ref.member.rpartition("::")[2]
    with opened(ref.path) as (file, _, _, size):
        data: Any = file[name]
        refused = objection(data, size)
        if refused:
            raise CheckpointError(Reason.UNSAFE, f"{ref.name}: {refused}")
        values = np.ascontiguousarray(data[()])
    raw = values.reshape(-1).view(np.uint8)[ref.offset : ref.offset + ref.nbytes]
    if len(raw) != ref.nbytes:
        raise CheckpointError(Reason.UNREADABLE, f"{ref.name}: {len(raw)} of {ref.nbytes} bytes are there")
    return raw
