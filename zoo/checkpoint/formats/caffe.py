"""Caffe: the blobs of a .caffemodel's layers, which lie as torch's do: (out, in, kh, kw), (out, in).

A NetParameter is walked as protobuf fields; both generations of layers are read. Blobs of an old file have four axes
always, of which leading ones of an inner product are 1.
Protocol: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto.
"""

from __future__ import annotations

import math
from pathlib import Path

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, Field, fields, text, varints
from zoospectra.zoo.checkpoint.mapped import whole
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

_FIELDS: dict[int, tuple[int, int, int]] = {100: (1, 2, 7), 2: (4, 5, 6)}
"""Field of a NetParameter -> fields of its layers: name, type, blobs. 100 is today's, 2 that of 2013 and 2014."""

OLD_TYPES: dict[int, str] = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution", 25: "Eltwise"}
"""V1LayerParameter.LayerType -> name, as far as it matters."""

STATISTICS = frozenset({"BatchNorm"})
"""Layers whose blobs are running statistics."""

MAX_BLOBS = 1_000_000


def open_caffe(path: str) -> Checkpoint:
    """Blobs of all layers as 'conv1.weight', 'conv1.bias'; CheckpointError when the file is damaged or no such net."""
    try:
        data = whole(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    if bytes(data[:4]) == b"\x89HDF":
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path}: an HDF5 snapshot of Caffe's is not read")
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    tables: list[str] = []
    for item in fields(data, 0, len(data)):
        if item.number not in _FIELDS or item.wire != BYTES:
            continue
        name, kind, blobs = _layer(data, item)
        for number, blob in enumerate(blobs):
            last = ("weight", "bias")[number] if number < 2 else f"blob_{number}"
            last = f"running_{number}" if kind in STATISTICS else last
            made = _blob(path, data, f"{name}.{last}", kind, blob)
            if isinstance(made, Skip):
                skips.append(made)
            else:
                refs.append(made)
                tables += [made.name] if kind == "Embed" and number == 0 else []
        if len(refs) + len(skips) > MAX_BLOBS:
            raise CheckpointError(Reason.UNSAFE, f"a net of more than {MAX_BLOBS} blobs")
    if not refs and not skips:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{Path(path).name}: no layer with blobs: no Caffe model")
    return Checkpoint("caffe", tuple(refs), tuple(skips), config={"tables": tuple(tables)})


def _layer(data: AnyArray, layer: Field) -> tuple[str, str, list[Field]]:
    """Name, type and blobs of a layer."""
    name_at, type_at, blobs_at = _FIELDS[layer.number]
    name, kind = "", ""
    blobs: list[Field] = []
    for item in fields(data, layer.start, layer.stop):
        if item.number == name_at and item.wire == BYTES:
            name = text(data, item)
        elif item.number == type_at:
            kind = text(data, item) if item.wire == BYTES else OLD_TYPES.get(item.value, "")
        elif item.number == blobs_at and item.wire == BYTES:
            blobs.append(item)
    return name.replace("/", "."), kind, blobs


def _blob(path: str, data: AnyArray, name: str, kind: str, blob: Field) -> TensorRef | Skip:
    """Reference of a BlobProto: 1 to 4 the old shape, 5 floats, 7 shape, 8 doubles."""
    old: dict[int, int] = {}
    shape: list[int] | None = None
    floats: dict[str, list[Field]] = {"float32": [], "float64": []}
    for item in fields(data, blob.start, blob.stop):
        if item.number <= 4 and item.wire == VARINT:
            old[item.number] = item.value
        elif item.number == 7 and item.wire == BYTES:
            shape = _shape(data, item)
        elif item.number in (5, 8):
            floats["float32" if item.number == 5 else "float64"].append(item)
    dims = tuple(shape if shape is not None else (old.get(number, 1) for number in range(1, 5)))
    if len(dims) > 64 or any(size >= 1 << 62 for size in dims):
        raise CheckpointError(Reason.UNREADABLE, f"{name[:80]}: shape {str(dims)[:80]} is none")
    if shape is None:  # (1, 1, out, in) of an inner product, (1, 1, 1, n) of a bias
        keep = 4 if kind in ("Convolution", "Deconvolution") and not name.endswith(".bias") else 1
        while len(dims) > keep and dims[0] == 1:
            dims = dims[1:]
    dtype = "float64" if floats["float64"] else "float32"
    held = floats[dtype]
    needed = math.prod(dims) * types.itemsize(dtype)
    if len(held) != 1 or held[0].wire != BYTES or held[0].stop - held[0].start != needed:
        what = "not packed in one piece" if len(held) > 1 else f"{sum(item.stop - item.start for item in held)} bytes"
        return Skip(name, Reason.UNREADABLE, f"shape {dims} of {dtype} needs {needed} bytes: {what}", True)
    return TensorRef(name, path, dtype, dims, None, held[0].start, needed)


def _shape(data: AnyArray, item: Field) -> list[int]:
    """Sizes of a BlobShape, at most 65."""
    sizes: list[int] = []
    for part in fields(data, item.start, item.stop):
        if part.number == 1:
            packed = zip(varints(data, part.start, part.stop), range(65), strict=False) if part.wire == BYTES else ()
            sizes += [part.value] if part.wire == VARINT else [size for size, _ in packed]
    return sizes[:65]
