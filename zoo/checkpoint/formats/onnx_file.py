"""ONNX: the initialisers of a model's graphs, and the constants among their nodes.

The file is mapped and its protobuf fields are walked in place, because offsets are wanted and no copy of a 2 GB model;
the onnx package, which gives arrays, is the tests' oracle. External data are read from plain files of the model's own
folder only. What the graph does with a tensor (see onnx_graph) decides its layout: matrices that are multiplied from
the right (MatMul, Gemm without transB) are (in, out) and are given torch's layout by strides.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
Not covered: sparse initialisers, 16-bit floats in int32_data.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.blocks import Blocks
from zoospectra.zoo.checkpoint.formats.onnx_codes import SMALL, WEIGHTED, Codes, blocks_of, codes_of, inputs_first, lost
from zoospectra.zoo.checkpoint.formats.onnx_graph import Graph, Use, walk
from zoospectra.zoo.checkpoint.formats.onnx_names import NUMBERED, module_of
from zoospectra.zoo.checkpoint.formats.onnx_pieces import PIECES, reference
from zoospectra.zoo.checkpoint.formats.onnx_proto import proto_of
from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, Field, fields
from zoospectra.zoo.checkpoint.layout.axes import ordered
from zoospectra.zoo.checkpoint.mapped import whole
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip, missing

DTYPES: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    24: "float8_e8m0fnu",
}
"""TensorProto.DataType -> torch's name."""

TYPED: dict[int, str] = {4: "float32", 10: "float64"}
"""TensorProto's fields float_data and double_data -> type; packed, they are the bytes that raw_data would hold."""

RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
"""Operators with W (directions, g u, in) and R (directions, g u, u)."""

BIASES: dict[str, tuple[int, ...]] = {
    "Conv": (2,),
    "ConvTranspose": (2,),
    "Gemm": (2,),
    "LSTM": (3, 5, 6, 7),
    "GRU": (3, 5),
    "RNN": (3, 5),
}
"""Operator -> its inputs that are biases, initial states and peepholes."""

EXTERNAL = 1
"""TensorProto.DataLocation."""


def open_onnx(path: str) -> Checkpoint:
    """Initialisers in the graph's order, then constants; CheckpointError when the file is damaged or no ONNX model.

    What only the graph knows goes into the configuration: 'tables' are names of embeddings, 'affine' tells which
    tensors are the scale and the zero point of another's codes.
    """
    try:
        data = whole(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    # Field 7 of a ModelProto is its graph, 25 a function.
    top = [item for item in fields(data, 0, len(data)) if item.wire == BYTES]
    graphs = [item for item in top if item.number == 7]
    if len(graphs) != 1:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path}: {len(graphs)} graphs, expected 1: no ONNX model")
    graph = walk(data, graphs[0], [item for item in top if item.number == 25])
    found = _Found(skips=[Skip(n, Reason.UNSUPPORTED_DTYPE, "sparse tensors are not read", True) for n in graph.sparse])
    entries = {key: _tensor(path, data, graph.tensors[key], key) for key in graph.tensors}
    owners = _put_together(graph, entries, data, found)
    for key in sorted(graph.tensors, key=graph.constants.__contains__):
        if key in owners:
            detail = f"a piece of {owners[key]}, which the graph puts together"
            found.skips.append(Skip(key, Reason.NOT_THE_MODEL, detail, False))
        else:
            _sort(entries[key], key, graph, data, found)
    found.skips += [
        Skip(ref.name, Reason.UNSPLIT, f"a piece that {graph.loose[ref.name]} puts together with others: whole", False)
        for ref in found.refs
        if ref.name in graph.loose and len(ref.shape) > 1
    ]
    used = found.blocks.keys() | {entry.zero for entry in found.blocks.values()}
    for ref in found.small:
        if ref.name not in used:
            found.blocks[ref.name] = Blocks("integers of less than a byte whose scale is not in the file")
    found.refs += found.small
    config = {"tables": tuple(found.tables), "affine": found.affine, "blocks": found.blocks}
    return Checkpoint("onnx", _distinct(found.refs), tuple(found.skips), config=config)


@dataclass(slots=True)
class _Found:
    """What the constants of a graph are."""

    refs: list[TensorRef] = dataclasses.field(default_factory=list)
    skips: list[Skip] = dataclasses.field(default_factory=list)
    small: list[TensorRef] = dataclasses.field(default_factory=list)
    tables: list[str] = dataclasses.field(default_factory=list)
    affine: dict[str, Codes] = dataclasses.field(default_factory=dict)
    blocks: dict[str, Blocks] = dataclasses.field(default_factory=dict)


def _sort(entry: TensorRef | Skip, key: str, graph: Graph, data: AnyArray, found: _Found) -> None:
    """Put one constant where it belongs."""
    uses = graph.uses.get(key, [])
    use = _weight_use(uses)
    if isinstance(entry, Skip):
        found.skips.append(entry)
        return
    if use is not None and use.value.shape is not None and math.prod(use.value.shape) == math.prod(entry.shape):
        entry = replace(entry, shape=use.value.shape)
    blocks = blocks_of(entry, use, graph, data)
    if blocks is not None:
        found.blocks[key] = blocks
    if blocks is not None or proto_of(data, graph.tensors[key]).kind in SMALL:
        found.small.append(entry)
        return
    unknown = lost(entry, uses)
    if len(entry.shape) > 1 and use is None and _is_bias(uses):
        found.skips.append(Skip(key, Reason.VECTOR, f"biases or states of shape {entry.shape}", False))
    elif key in graph.constants and (len(entry.shape) < 2 or use is None) and not (unknown or _is_scale(key, graph)):
        if len(entry.shape) > 1:
            found.skips.append(Skip(key, Reason.BUFFER, f"a constant of the graph of shape {entry.shape}", False))
    else:
        laid = _laid_out(entry, use)
        codes = codes_of(entry, use, graph, laid[0], data)
        if unknown and codes is None:
            found.blocks[key] = unknown
            laid = [entry]
        found.refs += laid
        if use is not None and use.operator == "Gather":
            found.tables += [laid[0].name, laid[0].name.removesuffix("_quantized")]
        if codes is not None and len(laid) == 1:
            found.affine[laid[0].name] = codes


def _put_together(graph: Graph, entries: dict[str, TensorRef | Skip], data: AnyArray, found: _Found) -> dict[str, str]:
    """References to the weights that Concat and Slice make; stored tensors that are in nothing else -> the weight."""
    owners: dict[str, str] = {}
    made_of = dict(entries)
    for key, made in graph.made.items():
        small = any(proto_of(data, graph.tensors[leaf]).kind in SMALL for leaf in made.leaves)
        ref = None if small else reference(key, made, made_of)
        use = _weight_use(graph.uses.get(key, []))
        if ref is None:
            graph.loose |= dict.fromkeys(made.leaves, "Concat or Slice")
            continue
        made_of[key] = ref
        if len(ref.shape) < 2 or ref.dtype not in types.FLOATING:
            continue
        if use is None or use.value.dequantised:
            followed = any(other.operator not in PIECES for other in graph.uses.get(key, []))
            graph.loose |= {} if followed else dict.fromkeys(made.leaves, "Concat or Slice")
            continue
        laid = _laid_out(ref, use)
        found.refs += laid
        found.tables += [laid[0].name] if use.operator == "Gather" else []
        for leaf in made.leaves:
            if all(other.operator in PIECES for other in graph.uses.get(leaf, [])):
                owners[leaf] = laid[0].name
    return owners


def _weight_use(uses: list[Use]) -> Use | None:
    """The use that makes a constant a weight; of several, one that multiplies before one that looks up."""
    known = [use for use in uses if use.slot in WEIGHTED.get(use.operator, ())]
    return min(known, key=lambda use: use.operator == "Gather", default=None)


def _is_bias(uses: list[Use]) -> bool:
    """Whether every operator that takes a constant takes it for a bias or a state."""
    return bool(uses) and all(use.slot in BIASES.get(use.operator, ()) for use in uses)


def _is_scale(key: str, graph: Graph) -> bool:
    """Whether a constant is the scale or the zero point of another's codes."""
    return any(
        key in (use.value.dequantised.scale, use.value.dequantised.zero)
        for uses in graph.uses.values()
        for use in uses
        if use.value.dequantised
    )


def _laid_out(ref: TensorRef, use: Use | None) -> list[TensorRef]:
    """The tensor in torch's layout, under its module's name where its own is a number; one a direction of an LSTM."""
    if use is None:
        return [ref]
    if (
        use.operator in RECURRENT
        and len(ref.shape) == 3
        and not ref.parts
        and ref.shape[0] in (1, 2)
        and use.value.axes is None
    ):
        return _directions(ref, use)
    module = module_of(use.node, use.operator) if NUMBERED.match(ref.name) else ""
    if module:
        ref = replace(ref, name=f"{module}.weight")
    if use.value.axes is not None:
        ref = ordered(ref, use.value.axes)
    return [ordered(ref, (1, 0))] if len(ref.shape) == 2 and inputs_first(use) else [ref]


def _directions(ref: TensorRef, use: Use) -> list[TensorRef]:
    """W or R of a recurrent operator, one reference a direction: 'lstm.LSTM.W', 'lstm.LSTM.W_reverse'."""
    module = ".".join(part for part in (module_of(use.node, use.operator), _operation(use)) if part)
    letter, size = "WR"[use.slot - 1], ref.nbytes // ref.shape[0]
    return [
        replace(
            ref,
            name=f"{module}.{letter}{'_reverse' if number else ''}",
            shape=ref.shape[1:],
            offset=ref.offset + number * size,
            nbytes=size,
        )
        for number in range(ref.shape[0])
    ]


def _operation(use: Use) -> str:
    """'LSTM_1' for the second of a module, as its node says; else the operator."""
    last = use.node.rpartition("/")[2]
    return last if re.fullmatch(rf"{use.operator}(_\d+)?", last) else use.operator


def _distinct(refs: list[TensorRef]) -> tuple[TensorRef, ...]:
    """References under names of their own: a second one of a name gets a number."""
    taken: dict[str, int] = {}
    distinct = []
    for ref in refs:
        count = taken[ref.name] = taken.get(ref.name, 0) + 1
        stem, dot, last = ref.name.rpartition(".")
        distinct.append(ref if count == 1 else replace(ref, name=f"{stem}_{count}{dot}{last}"))
    return tuple(distinct)


def _tensor(path: str, data: AnyArray, tensor: Field, name: str | None) -> TensorRef | Skip:
    """Reference of a TensorProto; a Skip when its type or its place is not read."""
    proto = proto_of(data, tensor)
    name, dims = name or proto.name, proto.dims
    dtype = DTYPES.get(proto.kind)
    if proto.kind in SMALL:  # a stream of bytes
        dtype, dims = "uint8", [-(-math.prod(dims) * SMALL[proto.kind][0] // 8)]
    if dtype is None:
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"ONNX type {proto.kind} is not read", True)
    if len(dims) > 64 or any(size >= 1 << 62 for size in dims):
        raise CheckpointError(Reason.UNREADABLE, f"{name[:80]}: shape {str(dims)[:80]} is none")
    shape = tuple(dims)
    needed = math.prod(shape) * types.itemsize(dtype)
    if proto.place == EXTERNAL:
        return _external(path, name, dtype, shape, needed, proto.entries)
    raw = proto.raw
    if raw is None and needed:
        # Without raw_data the elements are in a typed field, whose packed bytes are what raw_data would hold.
        packed = [item for number, item in proto.typed.items() if TYPED.get(number) == dtype]
        if len(packed) != 1 or len(packed[0]) != 1 or packed[0][0].wire != BYTES:
            detail = f"{dtype} of shape {shape} that is neither in raw_data nor packed in one piece"
            return Skip(name, Reason.UNSUPPORTED_DTYPE, detail, dtype in types.FLOATING)
        raw = packed[0][0]
    length = 0 if raw is None else raw.stop - raw.start
    if length != needed:
        raise CheckpointError(
            Reason.UNREADABLE, f"{name[:80]}: shape {shape} of {dtype} needs {needed} bytes, not {length}"
        )
    return TensorRef(name, path, dtype, shape, None, 0 if raw is None else raw.start, needed)


def _external(
    path: str, name: str, dtype: str, shape: tuple[int, ...], needed: int, entries: dict[str, str]
) -> TensorRef | Skip:
    """Reference into a file beside the model; a Skip when that is no plain file below the model's folder."""
    location, folder = entries.get("location", ""), Path(path).parent
    parts = [part for part in location.replace("\\", "/").split("/") if part != "."]
    if location.startswith(("/", "\\")) or "\0" in location or not parts or any(part in ("", "..") for part in parts):
        return Skip(name, Reason.UNSAFE, f"external data at {location[:80]!r}: no path inside the model's folder", True)
    file = folder.joinpath(*parts)
    if any(folder.joinpath(*parts[: number + 1]).is_symlink() for number in range(len(parts))):
        return Skip(name, Reason.UNSAFE, f"external data at {location[:80]!r}: a link", True)
    numbers = [entries.get(key, default) for key, default in (("offset", "0"), ("length", str(needed)))]
    if not file.is_file() or not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers):
        return Skip(name, missing(file), f"external data at {location[:80]!r} are missing", True)
    offset, length = map(int, numbers)
    if length != needed or offset + length > os.stat(file).st_size:
        detail = f"bytes {offset} to {offset + length} of {location[:80]!r}, which has {os.stat(file).st_size}"
        return Skip(name, Reason.UNREADABLE, f"{detail}; shape {shape} of {dtype} needs {needed}", True)
    return TensorRef(name, str(file), dtype, shape, None, offset, needed)
