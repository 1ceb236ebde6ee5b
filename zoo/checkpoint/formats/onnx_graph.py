"""The graph of an ONNX model: which constants are weights, of which operator, and what lies between them.

Values are followed from constants through Identity, Cast, Reshape, Transpose and DequantizeLinear to the operators
that use them, into the sub-graphs of If, Loop and Scan and the bodies of functions. Only the protobuf's fields are
walked, no bytes of weights are read. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
What Concat and Slice make of constants is in onnx_pieces. Not covered: constants that a graph computes by other
operators (Mul, Add): what is analysed is stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zoospectra.zoo.checkpoint.formats.onnx_pieces import PIECES, Pieced, cut, joined
from zoospectra.zoo.checkpoint.formats.onnx_proto import few, integers_of, name_of, proto_of
from zoospectra.zoo.checkpoint.formats.onnx_shapes import SHAPING, reshaped
from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, Field, fields, text, varints
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

MAX_NODES = 1_000_000
"""Most nodes, initialisers and attributes that are looked at, those of functions once a call."""

CALL = 200
"""Parts that a call of a function counts as: functions that call functions multiply."""

MAX_DEPTH = 32
"""Deepest nesting of graphs and of calls of functions."""

PASSED = frozenset({"Identity", "Cast", "CastLike", "Dropout"})
"""Operators that give the values of their first input, as far as weights are concerned."""


@dataclass(frozen=True, slots=True)
class Dequantised:
    """Codes that become values: (codes - zero point) scale."""

    scale: str
    """Tensor of the scales."""
    zero: str | None
    """Tensor of the zero points; None for zero."""
    axis: int
    """Axis of the stored tensor along which scales differ."""
    block: int = 0
    """Elements of the axis that share a scale; 0 for one scale an index, or for one alone."""


@dataclass(frozen=True, slots=True)
class Value:
    """A constant, and what was done to it."""

    tensor: str
    """Key of Graph.tensors."""
    axes: tuple[int, ...] | None = None
    """Stored axis (of `shape`, where that is given) of every axis; None where no Transpose was met."""
    dequantised: Dequantised | None = None
    """How its codes become values; None for values."""
    shape: tuple[int, ...] | None = None
    """Shape that its elements were given before they were transposed; None for the stored one."""


@dataclass(frozen=True, slots=True)
class Use:
    """An operator that takes a constant."""

    value: Value
    operator: str
    """Its type: 'MatMul', 'Conv', ..."""
    slot: int
    """Number of the input, from 0."""
    node: str
    """Its name, or its type and number where it has none."""
    numbers: Mapping[str, int]
    """Its integer attributes."""
    inputs: tuple[str | None, ...]
    """Tensors of its inputs; None for what is computed, '' for what is left out."""


@dataclass(slots=True)
class Graph:
    """Constants of a model, and where they are used."""

    tensors: dict[str, Field] = field(default_factory=dict)
    """Name, made unique -> TensorProto, in the order of the file: initialisers before constants of nodes."""
    constants: set[str] = field(default_factory=set)
    """Those that are no initialisers."""
    sparse: list[str] = field(default_factory=list)
    """Names of sparse initialisers, which are not read."""
    uses: dict[str, list[Use]] = field(default_factory=dict)
    """Name -> uses."""
    made: dict[str, Pieced] = field(default_factory=dict)
    """Name, unique among all -> what was put together, in the order of the nodes."""
    loose: dict[str, str] = field(default_factory=dict)
    """Tensor -> the operator that puts it together with others, where that was not followed."""
    visits: int = 0

    def shape_of(self, data: AnyArray, key: str) -> tuple[int, ...]:
        """Shape of a stored tensor, or of one that was put together."""
        made = self.made.get(key)
        return made.shape if made else tuple(proto_of(data, self.tensors[key]).dims)

    def spend(self, depth: int = 0, parts: int = 1) -> None:
        """Count parts of the model; CheckpointError when there are too many, or they are nested too deep."""
        self.visits += parts
        if self.visits > MAX_NODES or depth > MAX_DEPTH:
            raise CheckpointError(
                Reason.UNSAFE, f"a graph of more than {MAX_NODES} parts, or nested deeper than {MAX_DEPTH}"
            )


@dataclass(slots=True)
class _Node:
    """A NodeProto."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    name: str = ""
    operator: str = ""
    domain: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    lists: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tensors: list[Field] = field(default_factory=list)
    graphs: list[tuple[str, Field]] = field(default_factory=list)


Functions = Mapping[tuple[str, str], Field]
Values = dict[str, Value]


def walk(data: AnyArray, model: Field, functions: list[Field]) -> Graph:
    """Constants and their uses, of a GraphProto and the FunctionProtos that its nodes call."""
    graph = Graph()
    named: dict[tuple[str, str], Field] = {}
    for item in functions:
        texts = {
            inner.number: text(data, inner) for inner in fields(data, item.start, item.stop) if inner.number in (1, 10)
        }
        named[texts.get(10, ""), texts.get(1, "")] = item
    _graph(data, model, graph, named, {}, "", 0)
    return graph


def _graph(
    data: AnyArray, body: Field, graph: Graph, functions: Functions, outer: Values, scope: str, depth: int
) -> None:
    """Initialisers of a graph, then its nodes in their order, which is one in which values are made before used."""
    values = dict(outer)
    nodes: list[Field] = []
    for item in fields(data, body.start, body.stop):
        graph.spend(depth)
        if item.number == 5 and item.wire == BYTES:
            name = name_of(data, item)
            values[name] = Value(_register(graph, name, scope, item))
        elif item.number == 15 and item.wire == BYTES:
            inner = [part for part in fields(data, item.start, item.stop) if part.number == 1 and part.wire == BYTES]
            graph.sparse.append(name_of(data, inner[0]) if inner else "sparse")
        elif item.number == 1 and item.wire == BYTES:
            nodes.append(item)
    _nodes(data, nodes, graph, functions, values, scope, depth)


def _nodes(
    data: AnyArray, nodes: list[Field], graph: Graph, functions: Functions, values: Values, scope: str, depth: int
) -> None:
    """Follow the constants through nodes."""
    for number, item in enumerate(nodes):
        node = _node(data, item, graph)
        first = values.get(node.inputs[0]) if node.inputs else None
        if node.operator == "Constant" and node.outputs and node.tensors:
            key = _register(graph, node.outputs[0], scope, node.tensors[0])
            graph.constants.add(key)
            values[node.outputs[0]] = Value(key)
        elif first and node.outputs and node.operator in PASSED:
            values[node.outputs[0]] = first
        elif first and node.outputs and node.operator == "Transpose":
            values[node.outputs[0]] = _transposed(data, first, node.lists.get("perm"), graph)
        elif first and node.outputs and node.operator == "DequantizeLinear" and first.tensor in graph.tensors:
            values[node.outputs[0]] = _dequantised(first, node, values)
        elif first and node.outputs and node.operator in SHAPING:
            shaped = _shaped(data, first, node, graph, values)
            if shaped is not None:
                values[node.outputs[0]] = shaped
        elif (node.domain, node.operator) in functions:
            _call(data, functions[node.domain, node.operator], node, graph, functions, values, scope, depth + 1)
        else:
            _operator(data, node, number, graph, functions, values, scope, depth)


def _operator(
    data: AnyArray,
    node: _Node,
    number: int,
    graph: Graph,
    functions: Functions,
    values: Values,
    scope: str,
    depth: int,
) -> None:
    """The constants that an operator uses, and the graphs inside it."""
    if node.operator in PIECES and node.outputs and node.outputs[0] and not node.domain:
        made = _pieced(data, node, graph, values, scope)
        if made is not None:
            values[node.outputs[0]] = Value(made)
    name = node.name or f"{node.operator}_{number}"
    tensors = tuple(values[name].tensor if name in values else None if name else "" for name in node.inputs)
    for slot, value in enumerate(node.inputs):
        if value in values:
            use = Use(values[value], node.operator, slot, name, node.numbers, tensors)
            graph.uses.setdefault(use.value.tensor, []).append(use)
    for attribute, body in node.graphs:
        _graph(data, body, graph, functions, values, f"{scope}{name}.{attribute}.", depth + 1)


def _call(
    data: AnyArray,
    function: Field,
    node: _Node,
    graph: Graph,
    functions: Functions,
    values: Values,
    scope: str,
    depth: int,
) -> None:
    """The nodes of a function, with the caller's values under the function's names."""
    graph.spend(depth, CALL)
    formal: list[str] = []
    body: list[Field] = []
    for item in fields(data, function.start, function.stop):
        graph.spend(depth)
        if item.number == 4:
            formal.append(text(data, item))
        elif item.number == 7 and item.wire == BYTES:
            body.append(item)
    inner = {name: values[given] for name, given in zip(formal, node.inputs, strict=False) if given in values}
    _nodes(data, body, graph, functions, inner, f"{scope}{node.name or node.operator}.", depth)


def _node(data: AnyArray, item: Field, graph: Graph) -> _Node:
    """Fields of a NodeProto: 1 input, 2 output, 3 name, 4 operator, 5 attribute, 7 domain."""
    node = _Node()
    for part in fields(data, item.start, item.stop):
        graph.spend()
        if part.wire != BYTES:
            continue
        match part.number:
            case 1:
                node.inputs.append(text(data, part))
            case 2:
                node.outputs.append(text(data, part))
            case 3:
                node.name = text(data, part)
            case 4:
                node.operator = text(data, part)
            case 5:
                _attribute(data, part, node)
            case 7:
                node.domain = text(data, part)
            case 9:
                _place(data, part, node)
    return node


def _place(data: AnyArray, entry: Field, node: _Node) -> None:
    r"""The module that torch's exporter notes beside a node, as a name: \"['', 'fc', 'linear']\" is '/fc/MatMul'."""
    texts = {part.number: text(data, part) for part in fields(data, entry.start, entry.stop) if part.wire == BYTES}
    if texts.get(1) == "pkg.torch.onnx.name_scopes":
        scopes = re.findall(r"'([^']*)'", texts.get(2, "")[:10_000])
        if len(scopes) > 2 and scopes[-2]:
            node.name = f"/{scopes[-2]}/{node.operator}"


def _attribute(data: AnyArray, attribute: Field, node: _Node) -> None:
    """Fields of an AttributeProto: 1 name, 3 integer, 5 tensor, 6 graph, 8 integers, 11 graphs."""
    name = ""
    graphs: list[Field] = []
    numbers: list[int] = []
    for part in fields(data, attribute.start, attribute.stop):
        if part.number == 1:
            name = text(data, part)
        elif part.number == 3 and part.wire == VARINT:
            node.numbers[name] = part.value - (1 << 64) if part.value >> 63 else part.value
        elif part.number == 5 and part.wire == BYTES and name == "value":
            node.tensors.append(part)
        elif part.number in (6, 11) and part.wire == BYTES:
            graphs.append(part)
        elif part.number == 8 and len(numbers) <= 64:
            numbers += [part.value] if part.wire == VARINT else few(varints(data, part.start, part.stop))
    node.graphs += [(name, graph) for graph in graphs]
    if numbers:
        node.lists[name] = tuple(numbers)


def _register(graph: Graph, name: str, scope: str, tensor: Field) -> str:
    """Remember a constant, under its own name where that is free, else with the place that it is in."""
    key = _free(graph, name, scope)
    graph.tensors[key] = tensor
    return key


def _free(graph: Graph, name: str, scope: str) -> str:
    """A name that nothing has yet."""
    key = name if name not in graph.tensors and name not in graph.made else f"{scope}{name}"
    number = 1
    while key in graph.tensors or key in graph.made:
        key, number = f"{scope}{name}_{number}", number + 1
    return key


def _pieced(data: AnyArray, node: _Node, graph: Graph, values: Values, scope: str) -> str | None:
    """Key of what a Concat or a Slice of constants makes; None where it is not followed."""
    count = len(node.inputs) if node.operator == "Concat" else 1
    given = [values[name] for name in node.inputs[:count] if name in values]
    if not given or len(given) < count:
        return None
    keys = tuple(value.tensor for value in given)
    leaves = [leaf for key in keys for leaf in (graph.made[key].leaves if key in graph.made else (key,))]
    plain = all(value.axes is None and value.dequantised is None and value.shape is None for value in given)
    made = None
    if plain and len(set(leaves)) == len(leaves):
        shapes = [graph.shape_of(data, key) for key in keys]
        if node.operator == "Concat":
            found = joined(keys, shapes, node.numbers.get("axis", 1))
            made = Pieced(keys, found[1], found[0], leaves=frozenset(leaves)) if found else None
        else:
            made = _sliced(data, node, graph, values, keys[0], frozenset(leaves))
    if made is None:
        graph.loose |= dict.fromkeys(leaves, node.operator)
        return None
    key = _free(graph, node.outputs[0], scope)
    graph.made[key] = made
    return key


def _sliced(
    data: AnyArray, node: _Node, graph: Graph, values: Values, key: str, leaves: frozenset[str]
) -> Pieced | None:
    """What a Slice makes: numbers are attributes in the first versions of the operator, constant inputs since."""
    numbers: list[tuple[int, ...] | None] = [node.lists.get(name) for name in ("starts", "ends", "axes")] + [None]
    for place, name in enumerate(node.inputs[1:5]):
        second = values.get(name) if name else None
        field_of = graph.tensors.get(second.tensor) if second else None
        numbers[place] = integers_of(data, field_of) if field_of else None
        if name and numbers[place] is None:
            return None
    starts, ends, axes, steps = numbers
    if starts is None or ends is None:
        return None
    shape = graph.shape_of(data, key)
    cuts = cut(shape, starts, ends, axes, steps)
    return Pieced((key,), tuple(length for _, length, _ in cuts), cuts=cuts, leaves=leaves) if cuts else None


def _shaped(data: AnyArray, value: Value, node: _Node, graph: Graph, values: Values) -> Value | None:
    """A value in another shape; None where that is not known, or it was transposed before and does not lie in order."""
    if value.axes is not None or value.dequantised is not None or value.tensor in graph.made:
        return None
    numbers: tuple[int, ...] | None = node.lists.get("axes", node.lists.get("shape"))
    if len(node.inputs) > 1 and node.inputs[1]:
        second = values.get(node.inputs[1])
        stored_numbers = graph.tensors.get(second.tensor) if second else None
        numbers = integers_of(data, stored_numbers) if stored_numbers else None
        if numbers is None:
            return None
    stored = value.shape if value.shape is not None else graph.shape_of(data, value.tensor)
    shape = reshaped(node.operator, stored, numbers, node.numbers.get("axis", 1))
    return replace(value, shape=shape) if shape is not None else None


def _transposed(data: AnyArray, value: Value, order: tuple[int, ...] | None, graph: Graph) -> Value:
    """A value behind a Transpose; unchanged when the order is none."""
    dims = len(value.shape) if value.shape is not None else len(graph.shape_of(data, value.tensor))
    axes = value.axes or tuple(range(dims))
    order = order if order is not None else tuple(reversed(range(dims)))
    if sorted(order) != list(range(dims)):
        return value
    return replace(value, axes=tuple(axes[axis] for axis in order))


def _dequantised(value: Value, node: _Node, values: Values) -> Value:
    """A value behind DequantizeLinear; its axis is that of the tensor as it is stored."""
    names = [values[name].tensor if name in values else None for name in node.inputs]
    scale = names[1] if len(names) > 1 else None
    if scale is None:
        return value
    axis = node.numbers.get("axis", 1)
    if value.axes is not None and 0 <= axis < len(value.axes):
        axis = value.axes[axis]
    zero = names[2] if len(names) > 2 else None
    return replace(value, dequantised=Dequantised(scale, zero, axis, max(0, node.numbers.get("block_size", 0))))
