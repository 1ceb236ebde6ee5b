"""Codes of fewer than eight bits, and with a scale a block: the weight is what the operator multiplies with.

Oracles: onnxruntime, which quantises and runs MatMulNBits; onnx' reference evaluator for DequantizeLinear.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import Skip
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer

RNG = np.random.default_rng(0)
INPUTS, OUTPUTS = 72, 40  # no whole number of blocks of 32
node = helper.make_node


def model(nodes: list[Any], constants: dict[str, Any]) -> onnx.ModelProto:
    """A model from x (n, INPUTS) to y."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, INPUTS])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])
    graph = helper.make_graph(nodes, "g", [x], [y], initializer=held)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def opened(path: Path, proto: onnx.ModelProto) -> tuple[list[Layer], dict[str | None, Skip]]:
    path.write_bytes(proto.SerializeToString())
    checkpoint = open_checkpoint(str(path))
    chosen, skips = layers(checkpoint.tensors, checkpoint.config)
    named = {layer.ref.name for layer in chosen} | {skip.tensor for skip in (*checkpoint.skips, *skips)}
    assert named == {tensor.name for tensor in proto.graph.initializer}, "nothing is lost"
    return chosen, {skip.tensor: skip for skip in (*checkpoint.skips, *skips)}


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "block"), [(4, 32), (8, 32), (2, 16), (4, 128)])
def test_matmulnbits_is_what_onnxruntime_multiplies_with(
    tmp_path: Path, bits: int, block: int, symmetric: bool
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    nbits = pytest.importorskip("onnxruntime.quantization.matmul_nbits_quantizer")
    weight = RNG.standard_normal((INPUTS, OUTPUTS)).astype(np.float32)
    plain = model([node("MatMul", ["x", "fc.weight"], ["y"])], {"fc.weight": weight})
    quantiser = nbits.MatMulNBitsQuantizer(plain, bits=bits, block_size=block, is_symmetric=symmetric)
    quantiser.process()
    proto = quantiser.model.model
    assert [step.op_type for step in proto.graph.node] == ["MatMulNBits"]
    (layer,), skips = opened(tmp_path / "x.onnx", proto)
    (wanted,) = runtime.InferenceSession(proto.SerializeToString()).run(None, {"x": np.eye(INPUTS, dtype=np.float32)})
    np.testing.assert_allclose(read_layer(layer), wanted.T, rtol=1e-6, atol=1e-7)
    assert (layer.longname, layer.layer_type) == ("fc", "dense")
    assert {skip.reason for skip in skips.values()} == {"quantisation_part"}


DEQUANTISED: dict[str, tuple[Any, tuple[int, ...], dict[str, int], bool]] = {
    "int4, a scale a column": (ml_dtypes.int4, (OUTPUTS,), {"axis": 1}, False),
    "uint4, one scale": (ml_dtypes.uint4, (), {}, True),
    "int4 in blocks of the inputs": (ml_dtypes.int4, (9, OUTPUTS), {"axis": 0, "block_size": 8}, False),
    "uint4 in blocks, zero points": (ml_dtypes.uint4, (9, OUTPUTS), {"axis": 0, "block_size": 8}, True),
    "int8 in blocks of the outputs": (np.int8, (INPUTS, 5), {"axis": 1, "block_size": 8}, True),
}


@pytest.mark.parametrize("name", DEQUANTISED)
def test_dequantizelinear_of_few_bits_and_of_blocks(tmp_path: Path, name: str) -> None:
    kind, shape, numbers, zeros = DEQUANTISED[name]
    low, high = (0, 16) if kind is ml_dtypes.uint4 else (-8, 8) if kind is ml_dtypes.int4 else (-128, 128)
    constants = {
        "w": RNG.integers(low, high, (INPUTS, OUTPUTS)).astype(kind),
        "s": RNG.uniform(0.1, 1, shape).astype(np.float32),
    }
    if zeros:
        constants["z"] = RNG.integers(low, high, shape).astype(kind)
    names = ["w", "s", "z"] if zeros else ["w", "s"]
    steps = [node("DequantizeLinear", names, ["d"], **numbers), node("MatMul", ["x", "d"], ["y"])]
    proto = model(steps, constants)
    (layer,), skips = opened(tmp_path / "x.onnx", proto)
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": np.eye(INPUTS, dtype=np.float32)})
    np.testing.assert_allclose(read_layer(layer), wanted.T, rtol=1e-6, atol=1e-6)
    assert set(skips) == set(names) - {"w"}


def test_codes_that_are_not_understood_are_lost_by_name(tmp_path: Path) -> None:
    codes = RNG.integers(0, 255, (OUTPUTS, 3, 16)).astype(np.uint8)
    numbers = {"K": 96, "N": OUTPUTS, "block_size": 32}
    scales = np.ones((OUTPUTS, 3), np.float32)
    strange = {
        "MatMulNBits": (["x", "w", "s", "", "g"], {"g": np.zeros(96, np.int32)}, numbers),  # columns in another order
        "MatMulBnb4": (["x", "w", "s"], {}, {**numbers, "quant_type": 1}),
        "QMoE": (["x", "w", "s"], {}, {}),
    }
    for operator, (names, more, attributes) in strange.items():
        step = node(operator, names, ["y"], domain="com.microsoft", **attributes)
        chosen, skips = opened(tmp_path / "x.onnx", model([step], {"w": codes, "s": scales, **more}))
        assert not chosen
        assert (skips["w"].reason, skips["w"].failed) == ("unsupported_quantisation", True), operator
    # four bits that nothing dequantises
    chosen, skips = opened(
        tmp_path / "x.onnx", model([], {"w": np.ones((8, 8), ml_dtypes.int4), "b": np.ones(3, "f4")})
    )
    assert (chosen, skips["w"].reason, skips["w"].failed) == ([], "unsupported_quantisation", True)


@pytest.mark.parametrize(
    "numbers",
    [
        {"N": 1 << 40, "K": 1 << 40, "block_size": 32},
        {"N": OUTPUTS, "K": 96, "block_size": 1 << 50},
        {"N": OUTPUTS, "K": 96, "block_size": 16},
        {"N": OUTPUTS, "K": 96, "block_size": 32, "bits": 3},
        {"N": -1, "K": 96, "block_size": 32},
    ],
)
def test_numbers_that_lie_are_refused(tmp_path: Path, numbers: dict[str, int]) -> None:
    codes, scales = np.zeros((OUTPUTS, 3, 16), np.uint8), np.ones((OUTPUTS, 3), np.float32)
    step = node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", **numbers)
    chosen, skips = opened(tmp_path / "x.onnx", model([step], {"w": codes, "s": scales}))
    assert (chosen, skips["w"].reason, skips["w"].failed) == ([], "unsupported_quantisation", True)


def test_a_block_larger_than_its_axis_takes_no_memory(tmp_path: Path) -> None:
    step = node("DequantizeLinear", ["w", "s"], ["d"], axis=0, block_size=1 << 40)
    constants = {"w": np.ones((INPUTS, OUTPUTS), np.int8), "s": np.full((1, OUTPUTS), 2, np.float32)}
    (layer,), _ = opened(tmp_path / "x.onnx", model([step, node("MatMul", ["x", "d"], ["y"])], constants))
    np.testing.assert_array_equal(read_layer(layer), np.full((OUTPUTS, INPUTS), 2))
