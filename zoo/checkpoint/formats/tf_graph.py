"""Frozen TensorFlow graphs (.pb): constants that an operator multiplies with, by name.

A GraphDef is walked as protobuf fields; constants are followed through Identity and Cast, and the operators that take
them decide what is a weight and how it lies, as in ONNX. Functions of the library are walked as well.
Protocol: tensorflow/core/framework/graph.proto. Not covered: variables, which lie in a checkpoint.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, Field, fields, text
from zoospectra.zoo.checkpoint.formats.tf_names import DTYPES, shape_of
from zoospectra.zoo.checkpoint.layout import axes
from zoospectra.zoo.checkpoint.mapped import whole
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

MAX_NODES = 1_000_000
"""Most nodes of a graph."""

PASSED = frozenset({"Identity", "Cast", "StopGradient", "Snapshot", "ReadVariableOp", "Enter"})
"""Operators that give the values of their first input, as far as weights are concerned."""

WEIGHTED: dict[str, tuple[int, ...]] = {
    "Conv2D": (1,),
    "Conv3D": (1,),
    "DepthwiseConv2dNative": (1,),
    "Conv2DBackpropInput": (1,),
    "MatMul": (1, 0),
    "BatchMatMul": (1, 0),
    "BatchMatMulV2": (1, 0),
    "_FusedConv2D": (1,),
    "_FusedMatMul": (1,),
    "_FusedDepthwiseConv2dNative": (1,),
    "Gather": (0,),
    "GatherV2": (0,),
    "ResourceGather": (0,),
}
"""Operator -> its inputs that are weights where they are constant."""


@dataclass(slots=True)
class _Node:
    """A NodeDef."""

    name: str = ""
    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    flags: dict[str, int] = field(default_factory=dict)
    tensor: Field | None = None


def open_tf_graph(path: str) -> Checkpoint:
    """Constants of a frozen graph that are weights, a row for other tables; CheckpointError: no such graph."""
    try:
        data = whole(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    if Path(path).name == "saved_model.pb":
        detail = f"{path}: the graph of a SavedModel; open its folder, which has the variables"
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, detail)
    nodes = _nodes(data)
    if not any(node.operator for node in nodes):
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path}: no frozen TensorFlow graph")
    by_name = {node.name: node for node in nodes}
    uses: dict[str, tuple[_Node, int]] = {}
    for node in nodes:
        for slot in WEIGHTED.get(node.operator, ()):
            source = _source(by_name, node.inputs[slot]) if slot < len(node.inputs) else None
            if source is not None:
                uses.setdefault(source, (node, slot))
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    tables: list[str] = []
    for node in nodes:
        if node.tensor is None:
            continue
        made = _tensor(path, data, node.name, node.tensor)
        use = uses.get(node.name)
        if isinstance(made, Skip):
            skips.append(made)
        elif made is not None and use is not None:
            refs.append(_laid_out(made, *use))
            tables += [node.name] if "Gather" in use[0].operator else []
        elif made is not None and len(made.shape) > 1:
            skips.append(Skip(node.name, Reason.BUFFER, f"a constant of the graph of shape {made.shape}", False))
    return Checkpoint("tensorflow", tuple(refs), tuple(skips), config={"tables": tuple(tables)})


def _nodes(data: AnyArray) -> list[_Node]:
    """Nodes of a GraphDef (field 1), then those of its functions (field 2, of a library: 1, of a function: 3)."""
    found: list[_Node] = []
    graph = list(fields(data, 0, len(data)))
    waiting = [item for item in graph if item.number == 1 and item.wire == BYTES]
    for library in (item for item in graph if item.number == 2 and item.wire == BYTES):
        for function in (item for item in fields(data, library.start, library.stop) if item.number == 1):
            if function.wire == BYTES:
                inner = fields(data, function.start, function.stop)
                waiting += [item for item in inner if item.number == 3 and item.wire == BYTES]
    if len(waiting) > MAX_NODES:
        raise CheckpointError(Reason.UNSAFE, f"a graph of more than {MAX_NODES} nodes")
    for item in waiting:
        found.append(_node(data, item))
    return found


def _node(data: AnyArray, item: Field) -> _Node:
    """Fields of a NodeDef: 1 name, 2 op, 3 input, 5 attr."""
    node = _Node()
    for part in fields(data, item.start, item.stop):
        if part.wire != BYTES:
            continue
        match part.number:
            case 1:
                node.name = text(data, part)
            case 2:
                node.operator = text(data, part)
            case 3:
                node.inputs.append(text(data, part))
            case 5:
                _attribute(data, part, node)
    return node


def _attribute(data: AnyArray, entry: Field, node: _Node) -> None:
    """An entry of a map: 1 key, 2 AttrValue, of which 5 is a flag and 8 a tensor."""
    key = ""
    for part in fields(data, entry.start, entry.stop):
        if part.number == 1:
            key = text(data, part)
        elif part.number == 2 and part.wire == BYTES:
            for value in fields(data, part.start, part.stop):
                if value.number == 5 and value.wire == VARINT:
                    node.flags[key] = value.value
                elif value.number == 8 and value.wire == BYTES and key == "value" and node.operator == "Const":
                    node.tensor = value


def _source(by_name: dict[str, _Node], given: str) -> str | None:
    """Name of the constant that an input is; None for what is computed."""
    for _ in range(16):
        node = by_name.get(given.lstrip("^").partition(":")[0])
        if node is None:
            return None
        if node.tensor is not None:
            return node.name
        if node.operator not in PASSED or not node.inputs:
            return None
        given = node.inputs[0]
    return None


def _tensor(path: str, data: AnyArray, name: str, tensor: Field) -> TensorRef | Skip | None:
    """Reference of a TensorProto: 1 dtype, 2 shape, 4 content, 5 packed floats; None for text and repeated numbers."""
    kind = 0
    shape: tuple[int, ...] = ()
    raw: Field | None = None
    floats: Field | None = None
    for item in fields(data, tensor.start, tensor.stop):
        match item.number:
            case 1:
                kind = item.value
            case 2 if item.wire == BYTES:
                shape = shape_of(data, item.start, item.stop)
            case 4:
                raw = item
            case 5 if item.wire == BYTES:
                floats = item
    dtype = DTYPES.get(kind)
    if dtype == "string" or len(shape) < 2:
        return None
    if dtype is None:
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"TensorFlow type {kind} is not read", True)
    needed = math.prod(shape) * types.itemsize(dtype)
    held = raw if raw is not None else floats if dtype == "float32" else None
    length = held.stop - held.start if held is not None else 0
    if held is None or length != needed:
        if length < needed and length <= 8:  # one number, repeated
            return Skip(name, Reason.BUFFER, f"one number of shape {shape}", False)
        detail = f"shape {shape} of {dtype} needs {needed} bytes, not {length}"
        return Skip(name, Reason.UNREADABLE, detail, dtype in types.FLOATING)
    return TensorRef(name, path, dtype, shape, None, held.start, needed)


def _laid_out(ref: TensorRef, node: _Node, slot: int) -> TensorRef:
    """The constant in torch's layout, by the operator that takes it."""
    dims = len(ref.shape)
    name = ref.name.replace("/", ".")
    ref = replace(ref, name=re.sub(r"\.ReadVariableOp(\.resource)?$", "", name))
    if "Depthwise" in node.operator and dims >= 3:
        return axes.depthwise(ref)
    if "Conv" in node.operator and dims >= 3:
        return axes.outputs_last(ref)
    if "MatMul" in node.operator and dims == 2:
        flags = ("transpose_b", "adj_y") if slot else ("transpose_a", "adj_x")
        turned = any(node.flags.get(flag) for flag in flags)
        return axes.ordered(ref, (1, 0)) if turned != bool(slot) else ref
    return ref
