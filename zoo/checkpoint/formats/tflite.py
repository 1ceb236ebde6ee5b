"""TensorFlow Lite: the constant tensors of a model that an operator multiplies with, 8-bit ones with their scales.

Schema: tensorflow/compiler/mlir/lite/schema/schema.fbs. Convolutions are (out, kh, kw, in) here, depthwise ones
(1, kh, kw, out). Not covered: 4-bit and sparse tensors, which are refused one by one; custom operators.
"""

from __future__ import annotations

import math

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.flatbuffer import Buffer, Vector
from zoospectra.zoo.checkpoint.layout.axes import ordered
from zoospectra.zoo.checkpoint.mapped import whole
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

DTYPES: dict[int, str] = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    8: "complex64",
    9: "int8",
    10: "float64",
    11: "complex128",
    12: "uint64",
    15: "uint32",
    16: "uint16",
    18: "bfloat16",
}
"""TensorType -> torch's name."""

NOT_NUMBERS = frozenset({5, 13, 14})
"""TensorType of text, resources and variants."""

WEIGHTED: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    3: ((1,), (0, 3, 1, 2)),  # CONV_2D
    4: ((1,), (3, 0, 1, 2)),  # DEPTHWISE_CONV_2D
    7: ((1,), (0, 1)),  # EMBEDDING_LOOKUP
    9: ((1,), (0, 1)),  # FULLY_CONNECTED
    16: ((1, 2, 3, 4, 5, 6, 7, 8, 16), (0, 1)),  # LSTM
    24: ((1, 2), (0, 1)),  # RNN
    27: ((1, 2), (0, 1)),  # SVDF
    35: ((1, 2), (0, 1)),  # UNIDIRECTIONAL_SEQUENCE_RNN
    36: ((0,), (0, 1)),  # GATHER
    44: ((1, 2, 3, 4, 5, 6, 7, 8, 16), (0, 1)),  # UNIDIRECTIONAL_SEQUENCE_LSTM
    67: ((1,), (3, 0, 1, 2)),  # TRANSPOSE_CONV
    126: ((1, 0), (0, 1)),  # BATCH_MATMUL
    132: ((1,), (4, 3, 0, 1, 2)),  # CONV_3D
}
"""BuiltinOperator -> inputs that are weights, and their axes in torch's order."""

TABLES = frozenset({7, 36})
"""Operators that look rows up."""

DEQUANTIZE = 6


def open_tflite(path: str) -> Checkpoint:
    """Weights of all sub-graphs in the order of their tensors; CheckpointError when the file is damaged."""
    try:
        buffer = Buffer(whole(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    model = buffer.root()
    # Fields of a Model: 1 operator codes, 2 sub-graphs, 4 buffers; of an OperatorCode: 0, or 3 for numbers above 126.
    codes = [max(buffer.scalar(code, 0, "b"), buffer.scalar(code, 3, "i")) for code in buffer.tables(model, 1)]
    stored = buffer.tables(model, 4)
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    tables: list[str] = []
    affine: dict[str, dict[str, str | int]] = {}
    taken: set[str] = set()
    for graph in buffer.tables(model, 2):
        tensors = buffer.tables(graph, 0)
        uses = _uses(buffer, graph, codes, len(tensors))
        for number, tensor in enumerate(tensors):
            name = _name(buffer, tensor, number, taken)
            made = _reference(path, buffer, tensor, name, stored)
            use = uses.get(number)
            if isinstance(made, Skip):
                skips.append(made)
            elif made is not None and use is None and len(made.shape) > 1:
                skips.append(Skip(name, Reason.BUFFER, f"a constant of the graph of shape {made.shape}", False))
            elif made is not None and use is not None:
                order = WEIGHTED[use][1] if len(made.shape) == len(WEIGHTED[use][1]) > 2 else None
                refs.append(ordered(made, order) if order else made)
                tables += [name] if use in TABLES else []
                scales = _scales(path, buffer, tensor, made)
                refs += scales
                if scales:
                    affine[name] = _affine(buffer, tensor, scales, order)
    return Checkpoint("tflite", tuple(refs), tuple(skips), config={"tables": tuple(tables), "affine": affine})


def _uses(buffer: Buffer, graph: int, codes: list[int], count: int) -> dict[int, int]:
    """Tensor -> operator that multiplies with it, through Dequantize. An Operator: 0 code, 1 inputs, 2 outputs."""
    uses: dict[int, int] = {}
    sources: dict[int, int] = {}
    for operator in buffer.tables(graph, 3):
        index = buffer.scalar(operator, 0, "I")
        code = codes[index] if index < len(codes) else -1
        inputs = buffer.integers(operator, 1)
        if code == DEQUANTIZE and inputs:
            sources |= dict.fromkeys(buffer.integers(operator, 2), inputs[0])
        for slot in WEIGHTED[code][0] if code in WEIGHTED else ():
            if slot < len(inputs) and 0 <= inputs[slot] < count:
                uses.setdefault(sources.get(inputs[slot], inputs[slot]), code)
    return uses


def _name(buffer: Buffer, tensor: int, number: int, taken: set[str]) -> str:
    """Name of a tensor: of several that were merged the first, with a number where it is taken."""
    name = buffer.text(tensor, 3).partition(";")[0].replace("/", ".") or f"tensor_{number}"
    name = name if name not in taken else f"{name}_{number}"
    taken.add(name)
    return name


def _reference(path: str, buffer: Buffer, tensor: int, name: str, stored: list[int]) -> TensorRef | Skip | None:
    """Reference of a constant tensor; None for what is computed; a Skip for what is not read."""
    shape, kind = buffer.integers(tensor, 0), buffer.scalar(tensor, 1, "b")
    index = buffer.scalar(tensor, 2, "I")
    data = _data(buffer, stored[index]) if 0 < index < len(stored) else Vector(0, 0)
    if not data.length or kind in NOT_NUMBERS:
        return None
    dtype = DTYPES.get(kind)
    if dtype is None or buffer.table(tensor, 6) is not None:
        what = "a sparse tensor" if dtype else f"type {kind} of TensorFlow Lite"
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"{what} of shape {shape} is not read", len(shape) > 1)
    needed = math.prod(shape) * types.itemsize(dtype)
    if len(shape) > 64 or min(shape, default=0) < 0 or needed != data.length:
        detail = f"shape {str(shape)[:80]} of {dtype} needs {needed} bytes, its buffer has {data.length}"
        return Skip(name, Reason.UNREADABLE, detail, True)
    return TensorRef(name, path, dtype, shape, None, data.start, needed)


def _data(buffer: Buffer, table: int) -> Vector:
    """Bytes of a Buffer: 0 inside the FlatBuffer, or 1 offset and 2 size behind it."""
    inside = buffer.vector(table, 0, 1)
    offset, size = buffer.scalar(table, 1, "Q"), buffer.scalar(table, 2, "Q")
    if inside.length or offset <= 1:
        return inside
    if offset + size > len(buffer.data):
        raise CheckpointError(Reason.UNREADABLE, f"a buffer of bytes {offset} to {offset + size} of {len(buffer.data)}")
    return Vector(offset, size)


def _scales(path: str, buffer: Buffer, tensor: int, ref: TensorRef) -> list[TensorRef]:
    """Scales and zero points of codes (QuantizationParameters: 2 scale, 3 zero point); none for floats."""
    quantisation = buffer.table(tensor, 4)
    if quantisation is None or ref.dtype in types.FLOATING:
        return []
    scale, zero = buffer.vector(quantisation, 2, 4), buffer.vector(quantisation, 3, 8)
    made = [TensorRef(f"{ref.name}:scale", path, "float32", (scale.length,), None, scale.start, 4 * scale.length)]
    if zero.length:
        made.append(
            TensorRef(f"{ref.name}:zero_point", path, "int64", (zero.length,), None, zero.start, 8 * zero.length)
        )
    return made if scale.length else []


def _affine(
    buffer: Buffer, tensor: int, scales: list[TensorRef], order: tuple[int, ...] | None
) -> dict[str, str | int]:
    """What zoo.layers.packed.affine wants to know: names of scale and zero point, axis in the order analysed."""
    quantisation = buffer.table(tensor, 4)
    axis = buffer.scalar(quantisation, 6, "i") if quantisation is not None else 0
    if order is not None:
        axis = order.index(axis) if axis in order else 0
    entry: dict[str, str | int] = {"scale": scales[0].name, "axis": axis}
    return entry | ({"zero_point": scales[1].name} if len(scales) > 1 else {})
