"""ONNX graphs: the weight that an operator computes with, wherever it stands and whatever lies between.

The oracle is onnx' own reference evaluator: a net without biases applied to the identity gives its matrix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.onnx_names import NUMBERED, module_of
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((8, 5)).astype(np.float32)
CODES = RNG.integers(-127, 128, (8, 5)).astype(np.int8)
IDENTITY = np.eye(8, dtype=np.float32)


def constant(value: Any, name: str) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def model(nodes: list[Any], constants: list[TensorProto], **options: Any) -> onnx.ModelProto:
    shape = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", shape, out, initializer=constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("own", 1)], **options
    )


def found(path: Path, proto: onnx.ModelProto) -> dict[str, Layer]:
    path.write_bytes(proto.SerializeToString())
    checkpoint = open_checkpoint(str(path))
    chosen, _ = layers(checkpoint.tensors, checkpoint.config)
    return {layer.longname: layer for layer in chosen}


node = helper.make_node
CHAINS: dict[str, tuple[list[Any], list[TensorProto]]] = {
    "matmul": ([node("MatMul", ["x", "w"], ["y"])], [constant(MATRIX, "w")]),
    "gemm": ([node("Gemm", ["x", "w"], ["y"])], [constant(MATRIX, "w")]),
    "gemm, transposed": ([node("Gemm", ["x", "w"], ["y"], transB=1)], [constant(MATRIX.T.copy(), "w")]),
    "a transpose between": (
        [node("Transpose", ["w"], ["t"], perm=[1, 0]), node("MatMul", ["x", "t"], ["y"])],
        [constant(MATRIX.T.copy(), "w")],
    ),
    "two transposes, a cast, an identity": (
        [
            node("Transpose", ["w"], ["a"]),
            node("Cast", ["a"], ["b"], to=TensorProto.FLOAT),
            node("Identity", ["b"], ["c"]),
            node("Transpose", ["c"], ["d"]),
            node("MatMul", ["x", "d"], ["y"]),
        ],
        [constant(MATRIX.astype(np.float16), "w")],
    ),
    "a reshape of a vector": (
        [node("Reshape", ["w", "s"], ["r"]), node("MatMul", ["x", "r"], ["y"])],
        [constant(MATRIX.reshape(-1), "w"), constant(np.array([0 + 8, -1]), "s")],
    ),
    "a reshape, then a transpose": (
        [
            node("Reshape", ["w", "s"], ["r"]),
            node("Transpose", ["r"], ["t"], perm=[1, 0]),
            node("MatMul", ["x", "t"], ["y"]),
        ],
        [constant(MATRIX.T.copy().reshape(4, 10), "w"), constant(np.array([5, 8]), "s")],
    ),
    "axes of one, flattened": (
        [
            node("Unsqueeze", ["w", "a"], ["u"]),
            node("Squeeze", ["u", "b"], ["q"]),
            node("Flatten", ["q"], ["f"], axis=1),
            node("MatMul", ["x", "f"], ["y"]),
        ],
        [constant(MATRIX, "w"), constant(np.array([0, -1]), "a"), constant(np.array([0]), "b")],
    ),
    "a constant node": (
        [node("Constant", [], ["w"], value=constant(MATRIX, "")), node("MatMul", ["x", "w"], ["y"])],
        [],
    ),
    "codes, a scale a column": (
        [node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=1), node("MatMul", ["x", "d"], ["y"])],
        [
            constant(CODES, "w"),
            constant(np.linspace(0.1, 1, 5).astype(np.float32), "s"),
            constant(np.arange(5).astype(np.int8), "z"),
        ],
    ),
    "codes, one scale, transposed behind": (
        [
            node("DequantizeLinear", ["w", "s"], ["d"]),
            node("Transpose", ["d"], ["t"], perm=[1, 0]),
            node("MatMul", ["x", "t"], ["y"]),
        ],
        [constant(CODES.T.copy(), "w"), constant(np.float32(0.02), "s")],
    ),
    "a join": (
        [node("Concat", ["a", "b"], ["w"], axis=-1), node("MatMul", ["x", "w"], ["y"])],
        [constant(MATRIX[:, :3].copy(), "a"), constant(MATRIX[:, 3:].copy(), "b")],
    ),
    "a join, transposed behind": (
        [
            node("Concat", ["a", "b"], ["w"], axis=0),
            node("Transpose", ["w"], ["t"], perm=[1, 0]),
            node("Gemm", ["x", "t"], ["y"]),
        ],
        [constant(MATRIX.T[:3].copy(), "a"), constant(MATRIX.T[3:].copy(), "b")],
    ),
    "a cut": (
        [node("Slice", ["w", "s", "e", "axes"], ["c"]), node("MatMul", ["x", "c"], ["y"])],
        [
            constant(np.repeat(MATRIX, 2, axis=1), "w"),
            *(constant([n], k) for k, n in (("s", -7), ("e", 99), ("axes", 1))),
        ],
    ),
    "a cut with steps": (
        [node("Slice", ["w", "s", "e", "axes", "steps"], ["c"]), node("MatMul", ["x", "c"], ["y"])],
        [
            constant(np.repeat(MATRIX, 3, axis=0), "w"),
            *(constant(n, k) for k, n in (("s", [1, 0]), ("e", [24, 4]), ("axes", [0, -1]), ("steps", [3, 1]))),
        ],
    ),
    "a join of cuts": (
        [
            node("Slice", ["v", "s", "e", "axes"], ["c"]),
            node("Concat", ["a", "c"], ["w"], axis=1),
            node("MatMul", ["x", "w"], ["y"]),
        ],
        [
            constant(MATRIX[:, :2].copy(), "a"),
            constant(MATRIX[:, 1:].copy(), "v"),
            *(constant([n], k) for k, n in (("s", 1), ("e", 3), ("axes", 1))),
        ],
    ),
    "codes, a scale a row, transposed behind": (
        [
            node("DequantizeLinear", ["w", "s"], ["d"], axis=0),
            node("Transpose", ["d"], ["t"], perm=[1, 0]),
            node("Gemm", ["x", "t"], ["y"]),
        ],
        [constant(CODES.T.copy(), "w"), constant(np.linspace(0.1, 1, 5).astype(np.float32), "s")],
    ),
}


@pytest.mark.parametrize("case", CHAINS)
def test_the_layer_is_what_the_operator_multiplies(tmp_path: Path, case: str) -> None:
    proto = model(*CHAINS[case])
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": IDENTITY})
    (layer,) = found(tmp_path / "x.onnx", proto).values()
    np.testing.assert_allclose(read_layer(layer).astype(np.float32), wanted.T, rtol=1e-6)
    assert layer.layer_type == "dense"


PIECES = [constant(MATRIX[:4].copy(), "a"), constant(MATRIX[4:].copy(), "b"), constant(np.float32(0.02), "s")]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Transpose", ["a"], ["t"], perm=[0, 1]), node("Concat", ["t", "b"], ["w"], axis=0)],
        [node("Concat", ["a", "a"], ["w"], axis=0), node("MatMul", ["x", "b"], ["z"])],
        [node("Concat", ["a", "b"], ["c"], axis=0), node("Slice", ["c", "n"], ["w"])],
        [node("Concat", ["a", "b"], ["c"], axis=0), node("Reshape", ["c", "n"], ["w"])],
        [node("Concat", ["a", "b"], ["w"], axis=7)],
    ],
)
def test_pieces_that_are_not_put_together_have_a_row(tmp_path: Path, nodes: list[Any]) -> None:
    (tmp_path / "x.onnx").write_bytes(model([*nodes, node("MatMul", ["x", "w"], ["y"])], PIECES).SerializeToString())
    checkpoint = open_checkpoint(str(tmp_path / "x.onnx"))
    found_layers, _ = layers(checkpoint.tensors, checkpoint.config)
    assert {layer.longname for layer in found_layers} == {"a", "b"}
    assert "a" in {skip.tensor for skip in checkpoint.skips if "puts together" in skip.detail}


def test_joins_that_multiply_are_no_larger_than_what_is_stored(tmp_path: Path) -> None:
    """Sixty joins of a tensor with itself would be 2^60 times as large."""
    nodes = [node("Concat", [f"w{n}"] * 2, [f"w{n + 1}"], axis=0) for n in range(60)]
    proto = model([*nodes, node("MatMul", ["x", "w60"], ["y"])], [constant(MATRIX, "w0")])
    (layer,) = found(tmp_path / "x.onnx", proto).values()
    assert layer.shape == MATRIX.shape


def branch(name: str, weight: str, values: Any) -> Any:
    return helper.make_graph(
        [node("MatMul", ["x", weight], [f"{name}_y"])],
        name,
        [],
        [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)],
        [constant(values, weight)],
    )


def test_branches_and_bodies_of_loops_have_their_weights(tmp_path: Path) -> None:
    deeper = helper.make_graph(
        [
            node(
                "If",
                ["c"],
                ["loop_y"],
                name="inner",
                then_branch=branch("a", "w", MATRIX),
                else_branch=branch("b", "w", 2 * MATRIX),
            )
        ],
        "body",
        [],
        [helper.make_tensor_value_info("loop_y", TensorProto.FLOAT, None)],
    )
    outer = node("If", ["c"], ["y"], name="choice", then_branch=deeper, else_branch=branch("c", "v", 3 * MATRIX))
    scan = node("Scan", ["x"], ["z"], name="steps", num_scan_inputs=1, body=branch("d", "u", 4 * MATRIX))
    by_name = found(tmp_path / "x.onnx", model([outer, scan], [constant(np.array(True), "c")]))
    assert "choice.then_branch.inner.then_branch.w" in by_name
    sizes = sorted(round(float(np.abs(read_layer(layer)).sum() / np.abs(MATRIX).sum())) for layer in by_name.values())
    assert sizes == [1, 2, 3, 4], "two weights of one name in two branches are two layers"
    assert {layer.shape for layer in by_name.values()} == {(5, 8)}


def test_functions_are_followed_with_the_callers_weights(tmp_path: Path) -> None:
    function = helper.make_function(
        "own", "Linear", ["a", "b"], ["c"], [node("MatMul", ["a", "b"], ["c"])], [helper.make_opsetid("", 21)]
    )
    proto = model([node("Linear", ["x", "w"], ["y"], domain="own")], [constant(MATRIX, "w")], functions=[function])
    (layer,) = found(tmp_path / "x.onnx", proto).values()
    np.testing.assert_array_equal(read_layer(layer), MATRIX.T)


def test_lookups_are_embeddings_and_biases_no_layers(tmp_path: Path) -> None:
    nodes = [
        node("Gather", ["words", "x"], ["a"]),
        node("Conv", ["a", "kernel", "kb"], ["b"]),
        node("LSTM", ["b", "W", "R", "B"], ["y"], hidden_size=4),
    ]
    constants = [
        constant(MATRIX, "words"),
        constant(RNG.standard_normal((6, 3, 2, 2)).astype(np.float32), "kernel"),
        constant(np.zeros((1, 6), np.float32), "kb"),
        constant(RNG.standard_normal((1, 16, 3)).astype(np.float32), "W"),
        constant(RNG.standard_normal((1, 16, 4)).astype(np.float32), "R"),
        constant(np.ones((1, 32), np.float32), "B"),
    ]
    by_name = found(tmp_path / "x.onnx", model(nodes, constants))
    assert by_name["words"].layer_type == "embedding"
    assert {layer.layer_type for name, layer in by_name.items() if name not in ("words", "kernel")} == {"rnn"}
    assert len(by_name) == 2 + 8


@pytest.mark.parametrize(("kind", "order"), [("LSTM", "iofc"), ("GRU", "urn"), ("RNN", " ")])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_gates_are_those_of_the_same_net_in_torch(
    tmp_path: Path, kind: str, order: str, directions: int
) -> None:
    """Written as torch.onnx writes it: its gates in ONNX' order, directions stacked."""
    net = getattr(torch.nn, kind)(3, 4, bidirectional=directions == 2)
    torch_order = {"LSTM": "ifco", "GRU": "run", "RNN": " "}[kind]
    state = {name: value.numpy() for name, value in net.state_dict().items()}

    def stacked(what: str) -> Any:
        rows = []
        for end in ("", "_reverse")[:directions]:
            gates = dict(zip(torch_order, np.split(state[f"weight_{what}_l0{end}"], len(order)), strict=True))
            rows.append(np.concatenate([gates[letter] for letter in order]))
        return np.stack(rows)

    constants = [constant(stacked("ih"), "onnx::W_1"), constant(stacked("hh"), "onnx::W_2")]
    proto = model([node(kind, ["x", "onnx::W_1", "onnx::W_2"], ["y"], name=f"/rnn/{kind}", hidden_size=4)], constants)
    by_name = found(tmp_path / "x.onnx", proto)
    torch.save(net.state_dict(), tmp_path / "x.pt")
    chosen, _ = layers(open_checkpoint(str(tmp_path / "x.pt")).tensors)
    wanted = sorted((str(layer.group), read_layer(layer).tobytes()) for layer in chosen)
    assert sorted((str(layer.group), read_layer(layer).tobytes()) for layer in by_name.values()) == wanted


def test_numbers_give_way_to_the_modules_name(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "onnx::MatMul_57"], ["a"], name="/encoder/encoder.0/query/MatMul"),
        node("MatMul", ["a", "58"], ["y"], name="/encoder/encoder.0/key/MatMul_1"),
        node("MatMul", ["a", "mine"], ["z"], name="/encoder/value/MatMul"),
    ]
    constants = [constant(MATRIX, "onnx::MatMul_57"), constant(MATRIX.T.copy(), "58"), constant(MATRIX, "mine")]
    assert set(found(tmp_path / "x.onnx", model(nodes, constants))) == {"encoder.0.query", "encoder.0.key", "mine"}
    assert module_of("/a/b/Gemm", "Gemm") == "a.b"
    assert not NUMBERED.match("fc1")


@pytest.mark.parametrize(("operator", "slot"), [("QLinearConv", 3), ("QLinearMatMul", 3), ("MatMulInteger", 1)])
def test_integer_operators_give_values_or_a_refusal(tmp_path: Path, operator: str, slot: int) -> None:
    shape = (6, 3, 2, 2) if operator == "QLinearConv" else (8, 5)
    codes = RNG.integers(-127, 128, shape).astype(np.int8)
    scale = np.linspace(0.1, 1, shape[0] if operator == "QLinearConv" else shape[1]).astype(np.float32)
    names = ["x", "xs", "xz", "w_quantized", "w_scale", "w_zero_point"] if slot == 3 else ["x", "w_quantized"]
    constants = [constant(codes, "w_quantized"), constant(scale, "w_scale"), constant(np.int8(3), "w_zero_point")]
    (layer,) = found(tmp_path / "x.onnx", model([node(operator, names, ["y"])], constants)).values()
    along = (-1, 1, 1, 1) if operator == "QLinearConv" else (1, -1)
    wanted = (codes.astype(np.float32) - 3) * scale.reshape(along)
    np.testing.assert_allclose(read_layer(layer), wanted if len(shape) == 4 else wanted.T, rtol=1e-6)
    # without the scale they are refused, not fitted and not passed over
    path = tmp_path / "bare.onnx"
    path.write_bytes(model([node("MatMulInteger", ["x", "w_quantized"], ["y"])], constants[:1]).SerializeToString())
    checkpoint = open_checkpoint(str(path))
    chosen, (skip,) = layers(checkpoint.tensors, checkpoint.config)
    assert (chosen, skip.reason, skip.failed) == ([], "unsupported_quantisation", True)


def test_a_function_that_calls_itself_and_graphs_without_end_are_refused(tmp_path: Path) -> None:
    function = helper.make_function(
        "own", "F", ["a"], ["c"], [node("F", ["a"], ["c"], domain="own")], [helper.make_opsetid("own", 1)]
    )
    proto = model([node("F", ["x"], ["y"], domain="own")], [constant(MATRIX, "w")], functions=[function])
    with pytest.raises(CheckpointError, match="nested deeper") as caught:
        found(tmp_path / "x.onnx", proto)
    assert caught.value.reason == "unsafe"
    # forty functions that call the next one twice: 2 ** 40 nodes in a kilobyte
    bomb = [
        helper.make_function(
            "own",
            f"F{number}",
            ["a"],
            ["c"],
            [node(f"F{number + 1}", ["a"], [out], domain="own") for out in "bc"],
            [helper.make_opsetid("own", 1)],
        )
        for number in range(30)
    ]
    proto = model([node("F0", ["x"], ["y"], domain="own")], [constant(MATRIX, "w")], functions=bomb)
    with pytest.raises(CheckpointError, match="more than") as caught:
        found(tmp_path / "x.onnx", proto)
    assert caught.value.reason == "unsafe"


@pytest.mark.parametrize("perm", [[0, 0], [5, 1], [-1, 0], [1]])
def test_an_order_that_is_none_leaves_the_tensor_as_it_is(tmp_path: Path, perm: list[int]) -> None:
    nodes = [node("Transpose", ["w"], ["t"], perm=perm), node("MatMul", ["x", "t"], ["y"])]
    (layer,) = found(tmp_path / "x.onnx", model(nodes, [constant(MATRIX, "w")])).values()
    assert layer.shape == (5, 8)
