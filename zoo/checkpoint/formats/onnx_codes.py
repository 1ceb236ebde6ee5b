"""How the codes of an ONNX graph become values: where their scale and zero point are, and along which axis.

Two kinds go into the configuration: 'affine', 8 bits with one scale or one an index of an axis (see
zoo.layers.packed.affine), and 'blocks', fewer bits or a scale a block (zoo.layers.packed.blocks).
Not covered: columns that were put in another order (g_idx), and codes of other operators: refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zoospectra.zoo.checkpoint.blocks import Blocks
from zoospectra.zoo.checkpoint.formats.onnx_graph import Graph, Use
from zoospectra.zoo.checkpoint.formats.onnx_names import NUMBERED, module_of
from zoospectra.zoo.checkpoint.formats.onnx_proto import proto_of
from zoospectra.zoo.checkpoint.formats.protobuf import VARINT, Field, varints
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef

WEIGHTED: dict[str, tuple[int, ...]] = {
    "MatMul": (1, 0),
    "Gemm": (1, 0),
    "Conv": (1,),
    "ConvTranspose": (1,),
    "FusedConv": (1,),
    "FusedGemm": (1, 0),
    "FusedMatMul": (1, 0),
    "MatMulInteger": (1,),
    "ConvInteger": (1,),
    "QLinearConv": (3,),
    "QLinearMatMul": (3,),
    "QGemm": (3,),
    "DynamicQuantizeMatMul": (1,),
    "MatMulIntegerToFloat": (1,),
    "MatMulNBits": (1,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
    "Gather": (0,),
    "Einsum": (0, 1),
}
"""Operator -> its inputs that are weights where they are constant, the usual one first."""

SCALED: dict[str, tuple[int, int, int]] = {
    "QLinearConv": (0, 4, 5),
    "QLinearMatMul": (1, 4, 5),
    "QGemm": (1, 4, 5),
    "DynamicQuantizeMatMul": (1, 2, 3),
    "MatMulIntegerToFloat": (1, 3, 5),
}
"""Operator -> axis of the weight's scales, the inputs that are its scale and its zero point."""

SMALL: dict[int, tuple[int, bool]] = {21: (4, False), 22: (4, True), 25: (2, False), 26: (2, True)}
"""TensorProto.DataType of integers of less than a byte -> bits, whether they have a sign."""

UNKNOWN = re.compile(r"Bnb4|FpQ4|MoE|BlockQuantized|NBits|Quantize|Integer|QAttention|QEmbed|QLinear")
"""Operators that take codes; what is not known of them is refused by name."""

MARK = re.compile(r"(_DQ)?_Q\d(G\d+)?$|_quantized$")
"""What quantisers put behind the name of a weight."""

Codes = dict[str, str | int | tuple[int, ...]]
"""How codes become values: see zoo.layers.packed.affine."""


def inputs_first(use: Use) -> bool:
    """Whether an operator takes a matrix as (in, out)."""
    right = use.slot == WEIGHTED[use.operator][0]
    if "Gemm" in use.operator or use.operator == "FusedMatMul":
        return not use.numbers.get("transB") if right else bool(use.numbers.get("transA"))
    return "MatMul" in use.operator and right


def codes_of(ref: TensorRef, use: Use | None, graph: Graph, laid: TensorRef, data: AnyArray) -> Codes | None:
    """Scale, zero point and axis (of the layout that is analysed) of codes; None for what is no code."""
    if use is None or ref.dtype not in ("int8", "uint8", "int32", "float8_e4m3fn", "float8_e5m2"):
        return None
    scale: str | None = None
    zero: str | None = None
    axis = 0
    if use.value.dequantised is not None:
        scale, zero, axis = use.value.dequantised.scale, use.value.dequantised.zero, use.value.dequantised.axis
    elif use.operator in SCALED:
        axis, *slots = SCALED[use.operator]
        scale, zero = (use.inputs[slot] if slot < len(use.inputs) else None for slot in slots)
    elif ref.name.endswith("_quantized"):  # onnxruntime's names: MatMulInteger is scaled by nodes behind it
        base = ref.name.removesuffix("_quantized")
        scale, zero, axis = f"{base}_scale", f"{base}_zero_point", len(ref.shape) - 1
    if scale is None or scale not in graph.tensors:
        return None
    axis %= len(ref.shape) or 1
    if laid.shape != ref.shape or laid.stride != ref.stride:  # where the stored axis went
        axes = use.value.axes or tuple(range(len(ref.shape)))
        axes = axes[::-1] if len(axes) == 2 and inputs_first(use) else axes
        axis = axes.index(axis)
    if zero is None or zero not in graph.tensors:
        return {"scale": scale, "axis": axis}
    proto = proto_of(data, graph.tensors[zero])
    # Small integers are often written one by one and not as bytes: then they are given as numbers.
    numbers = [value for item in proto.typed.get(5, []) for value in _integers(data, item)]
    return {"scale": scale, "axis": axis, "zero_point": tuple(numbers) if numbers else zero}


def _integers(data: AnyArray, item: Field) -> Iterator[int]:
    """Signed integers of a field, packed or not."""
    values = [item.value] if item.wire == VARINT else varints(data, item.start, item.stop)
    return (value - (1 << 64) if value >> 63 else value for value in values)


def blocks_of(ref: TensorRef, use: Use | None, graph: Graph, data: AnyArray) -> Blocks | None:
    """What is known of codes of few bits, or of blocks; None for what is none, or has no scale."""
    if use is not None and use.operator == "MatMulNBits":
        return _of_operator(ref, use)
    proto = proto_of(data, graph.tensors[ref.name])
    found = use.value.dequantised if use is not None else None
    bits, signed = SMALL.get(proto.kind, (8, proto.kind == 3))
    shape = tuple(proto.dims)
    if use is None or found is None or proto.kind not in (*SMALL, 2, 3) or not (found.block or bits < 8):
        return None
    if len(shape) < 2 or use.value.shape is not None:
        return None
    order = use.value.axes or tuple(range(len(shape)))
    return Blocks(
        companions=tuple(name for name in (found.scale, found.zero) if name),
        plain=_plain(ref, use),
        bits=bits,
        signed=signed,
        shape=shape,
        padded=shape,
        axis=found.axis % len(shape),
        block=found.block,
        order=order[::-1] if len(order) == 2 and inputs_first(use) else order,
        scale=found.scale,
        zero=found.zero or "",
    )


def _of_operator(ref: TensorRef, use: Use) -> Blocks:
    """The same of MatMulNBits, whose rows are whole blocks along K."""
    rows, columns, block = (use.numbers.get(key, 0) for key in ("N", "K", "block_size"))
    bits = use.numbers.get("bits", 4)
    scale, zero, order = (use.inputs[slot] if slot < len(use.inputs) else "" for slot in (2, 3, 4))
    companions = tuple(name for name in (scale, zero, order) if name)
    if min(rows, columns, block) <= 0 or bits not in (2, 4, 8) or not scale or zero is None or order != "":
        detail = f"MatMulNBits of {rows} x {columns}, {bits} bits in blocks of {block}"
        return Blocks(f"{detail}, its columns in another order" if order else f"{detail} is not read", companions)
    count = -(-columns // block)
    return Blocks(
        companions=companions,
        plain=_plain(ref, use),
        bits=bits,
        shape=(rows, columns),
        padded=(rows, count * block),
        axis=1,
        block=block,
        order=(0, 1),
        scale=scale,
        zero=zero,
        row=count,
        offset=1 << (bits - 1),
    )


def _plain(ref: TensorRef, use: Use) -> str:
    """Name of the weight that the codes are of."""
    stem = MARK.sub("", ref.name)
    module = module_of(use.node, use.operator) if NUMBERED.match(stem) else ""
    return f"{module}.weight" if module else stem


def lost(ref: TensorRef, uses: list[Use]) -> Blocks | None:
    """Codes that an operator takes and nothing else is known of; None for what is none."""
    if ref.dtype not in ("int8", "uint8", "int32") or max(ref.shape, default=0) < 2:
        return None
    use = next((use for use in uses if UNKNOWN.search(use.operator) and _is_weight(use)), None)
    if use is None:
        return None
    shape = "x".join(map(str, ref.shape))
    companions = tuple(name for name in use.inputs if name and name != ref.name)
    return Blocks(f"{ref.dtype} codes of shape {shape}, as {use.operator} takes them", companions)


def _is_weight(use: Use) -> bool:
    """Whether an input could be the weight of its operator: of unknown ones the first after the activations."""
    return use.slot in WEIGHTED.get(use.operator, (0, 1))
