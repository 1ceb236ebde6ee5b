"""Layouts of other libraries: the same kernel, however it was written, is the same layer with the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.layout.shapes import library
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

RNG = np.random.default_rng(0)
CONV = RNG.standard_normal((16, 8, 3, 3)).astype(np.float32)
DENSE = RNG.standard_normal((12, 20)).astype(np.float32)
LONG = RNG.standard_normal((16, 8, 5)).astype(np.float32)


def found(path: Path) -> dict[str, Layer]:
    checkpoint = open_checkpoint(str(path))
    chosen, _ = layers(checkpoint.tensors, checkpoint.config)
    return {layer.longname: layer for layer in chosen}


def saved(path: Path, tensors: dict[str, Any], header: str | None) -> Path:
    arrays = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(arrays, path, metadata={"format": header} if header else None)
    return path


WRITTEN: dict[str, tuple[str | None, dict[str, Any]]] = {
    "torch": ("pt", {"a.weight": CONV, "b.weight": DENSE}),
    "torch, no header": (None, {"a.weight": CONV, "b.weight": DENSE}),
    "torch, its own kernel": ("pt", {"a.kernel": CONV, "b.kernel": DENSE}),
    "flax": ("flax", {"a.kernel": CONV.transpose(2, 3, 1, 0), "b.kernel": DENSE.T}),
    "flax, no header": (None, {"a.kernel": CONV.transpose(2, 3, 1, 0), "b.kernel": DENSE.T}),
    "tf": ("tf", {"a/kernel:0": CONV.transpose(2, 3, 1, 0), "b/kernel:0": DENSE.T}),
    "tf, no header": (None, {"a/kernel:0": CONV.transpose(2, 3, 1, 0), "b/kernel:0": DENSE.T}),
    "haiku": (None, {"a.w": CONV.transpose(2, 3, 1, 0), "b.w": DENSE.T}),
    "mlx": ("mlx", {"a.weight": CONV.transpose(0, 2, 3, 1), "b.weight": DENSE}),
    "mlx, no header": (None, {"a.weight": CONV.transpose(0, 2, 3, 1), "b.weight": DENSE}),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_every_library_writes_the_same_layers(tmp_path: Path, case: str) -> None:
    header, tensors = WRITTEN[case]
    by_name = {name[0]: layer for name, layer in found(saved(tmp_path / "x.safetensors", tensors, header)).items()}
    wanted = found(saved(tmp_path / "torch.safetensors", WRITTEN["torch"][1], "pt"))
    for name in "ab":
        assert by_name[name].layer_type == wanted[name].layer_type
        assert layer_hash(by_name[name]) == layer_hash(wanted[name])
    np.testing.assert_array_equal(read_layer(by_name["a"]), CONV)


def test_torchs_own_counter_tells_more_than_the_shapes_of_long_kernels(tmp_path: Path) -> None:
    """(16, 16, 64, 1), as in torchcrepe, has a square kernel for TensorFlow only; no header tells."""
    kernel = RNG.standard_normal((16, 16, 64, 1)).astype(np.float32)
    tensors = {"a.weight": kernel, "a_BN.num_batches_tracked": np.int64(7), "classifier.weight": DENSE}
    layers_of = found(saved(tmp_path / "x.safetensors", tensors, None))
    np.testing.assert_array_equal(read_layer(layers_of["a"]), kernel)
    np.testing.assert_array_equal(read_layer(layers_of["classifier"]), DENSE)


def test_mlx_convolutions_of_one_axis_and_its_stacks_of_experts(tmp_path: Path) -> None:
    stack = RNG.standard_normal((3, 6, 4)).astype(np.float32)
    tensors = {"m.conv1d.weight": LONG.transpose(0, 2, 1), "m.switch_mlp.up_proj.weight": stack}
    layers_of = found(saved(tmp_path / "x.safetensors", tensors, "mlx"))
    np.testing.assert_array_equal(read_layer(layers_of["m.conv1d"]), LONG)
    np.testing.assert_array_equal(read_layer(layers_of["m.switch_mlp.up_proj.2"]), stack[2])


def test_a_folders_shards_are_laid_out_by_their_header(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    saved(tmp_path / "model.safetensors", WRITTEN["flax"][1], "flax")
    np.testing.assert_array_equal(read_layer(found(tmp_path)["a"]), CONV)


def test_flax_layers_that_were_scanned_are_layers_of_their_own(tmp_path: Path) -> None:
    stack = RNG.standard_normal((3, 6, 4)).astype(np.float32)
    tensors = {"blocks.mlp.kernel": stack, "blocks.mlp.bias": np.zeros((3, 4), np.float32)}
    layers_of = found(saved(tmp_path / "x.safetensors", tensors, "flax"))
    assert list(layers_of) == [f"blocks.mlp.{number}" for number in range(3)]
    for number in range(3):
        np.testing.assert_array_equal(read_layer(layers_of[f"blocks.mlp.{number}"]), stack[number].T)


@pytest.mark.parametrize(
    ("shapes", "wrote"),
    [
        ([(64, 3, 7, 7), (64, 64, 1, 1), (10, 64)], "torch"),
        ([(64, 7, 7, 3)], "mlx"),
        ([(7, 7, 3, 64), (1, 1, 64, 64)], "tf"),
        ([(3, 3, 3, 3)], None),
        ([(64, 3, 7, 7), (64, 7, 7, 3)], None),
        ([(10, 64), ()], None),
    ],
)
def test_shapes_vote_only_where_they_can_be_of_one_library(shapes: list[tuple[int, ...]], wrote: str | None) -> None:
    assert library(shapes) == wrote


def test_transformer_lens_heads_make_the_matrices_of_the_model_that_was_converted(tmp_path: Path) -> None:
    heads, model, width = 3, 12, 4
    q = RNG.standard_normal((heads * width, model)).astype(np.float32)
    o = RNG.standard_normal((model, heads * width)).astype(np.float32)
    tensors = {
        # einops.rearrange(q, "(n h) m -> n m h", n=heads), "m (n h) -> n h m" as TransformerLens converts weights
        "blocks.0.attn.W_Q": q.reshape(heads, width, model).transpose(0, 2, 1),
        "blocks.0.attn.W_O": o.reshape(model, heads, width).transpose(1, 2, 0),
        "blocks.0.mlp.W_in": DENSE.T,
        "unembed.W_U": DENSE,
        "embed.W_E": DENSE,
    }
    layers_of = found(saved(tmp_path / "x.safetensors", tensors, None))
    np.testing.assert_array_equal(read_layer(layers_of["blocks.0.attn.W_Q"]), q)
    np.testing.assert_array_equal(read_layer(layers_of["blocks.0.attn.W_O"]), o)
    np.testing.assert_array_equal(read_layer(layers_of["blocks.0.attn.W_Q.head_1"]), q[width : 2 * width])
    assert layers_of["blocks.0.attn.W_Q.head_1"].layer_type == "dense_part"
    np.testing.assert_array_equal(read_layer(layers_of["blocks.0.mlp.W_in"]), DENSE)
    assert (layers_of["unembed.W_U"].layer_type, layers_of["unembed.W_U"].shape) == ("embedding", (20, 12))
    assert layers_of["embed.W_E"].layer_type == "embedding"


def group(file: h5py.File, path: str, name: str, *values: Any) -> None:
    variables = file.create_group(f"{path}/vars")
    variables.attrs["name"] = name
    for number, value in enumerate(values):
        variables[str(number)] = value


def random(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def test_keras_variables_have_their_layers_own_order(tmp_path: Path) -> None:
    """What Keras 3.15 writes for a subclassed model: attributes' names as groups, the layer's name as an attribute."""
    kernel, recurrent = random(6, 20), random(5, 20)
    query, other = random(6, 4, 4), random(6, 2, 3)
    conv, transposed, depth = random(3, 3, 8, 16), random(3, 3, 5, 8), random(3, 3, 4, 2)
    convolved = random(3, 3, 1, 12), random(3, 3, 3, 12), random(12)
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        group(file, "cell", "lstm_cell", kernel, recurrent, random(20))
        group(file, "mine", "mine", kernel, recurrent, random(20))
        group(file, "gq/_query_dense", "query", query, random(4, 4))
        group(file, "ein", "einsum_dense", other, random(2, 3))
        group(file, "table", "embedding", random(11, 6))
        group(file, "layers/conv2d", "front", conv, random(16))
        group(file, "layers/conv2d_transpose", "conv2d_transpose", transposed, random(5))
        group(file, "thin", "thin", depth, random(8))
        group(file, "cl/cell", "conv_lstm_cell", *convolved)
        group(file, "sep", "own", random(3, 3, 4, 1), random(1, 1, 4, 8), random(8))
        group(file, "norm", "layer_normalization", random(6), random(6))
    layers_of = found(tmp_path / "x.weights.h5")
    for name in ("cell", "mine"):
        np.testing.assert_array_equal(read_layer(layers_of[f"{name}.forget_gate"]), kernel.T[5:10])
        np.testing.assert_array_equal(read_layer(layers_of[f"{name}.recurrent_kernel.output_gate"]), recurrent.T[15:])
    np.testing.assert_array_equal(read_layer(layers_of["gq._query_dense"]), query.reshape(6, 16).T)
    np.testing.assert_array_equal(read_layer(layers_of["ein"]), other.reshape(6, 6).T)
    assert layers_of["table.embeddings"].layer_type == "embedding"
    np.testing.assert_array_equal(read_layer(layers_of["layers.conv2d"]), conv.transpose(3, 2, 0, 1))
    # torch's transposed convolutions are (in, out, kh, kw)
    np.testing.assert_array_equal(read_layer(layers_of["layers.conv2d_transpose"]), transposed.transpose(3, 2, 0, 1))
    assert layers_of["thin.depthwise_kernel"].shape == (8, 1, 3, 3)
    np.testing.assert_array_equal(read_layer(layers_of["cl.cell.cell_gate"]), convolved[0].transpose(3, 2, 0, 1)[6:9])
    assert layers_of["cl.cell.recurrent_kernel.input_gate"].layer_type == "conv2d"
    assert layers_of["sep.pointwise_kernel"].shape == (8, 4, 1, 1)
    assert not any(name.startswith("norm") for name in layers_of)
