"""Which tensors are layers: real networks with known layers, and a table of shapes and names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.rules import rules_from


def tensor(name: str, *shape: int, dtype: str = "float32") -> TensorRef:
    return TensorRef(name, "/x", dtype, shape, None, 0, 0)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "kind"),
    [
        ("fc.weight", (10, 64), "float32", "dense"),
        ("fc.weight", (10, 64), "bfloat16", "dense"),
        ("fc.weight", (10, 64), "float8_e4m3fn", "dense"),
        ("conv1.weight", (16, 3, 3, 3), "float32", "conv2d"),
        ("voice.weight", (100, 128, 3), "float32", "conv1d"),
        ("model.embed_tokens.weight", (100, 8), "float16", "embedding"),
        ("transformer.wte.weight", (100, 8), "float32", "embedding"),
        ("wpe.weight", (100, 8), "float32", "embedding"),
        ("bert.embeddings.word_embeddings.weight", (100, 8), "float32", "embedding"),
        ("embeddings.position_embeddings.weight", (100, 8), "float32", "embedding"),
        ("embeddings.token_type_embeddings.weight", (2, 8), "float32", "embedding"),
        ("lm_head.weight", (100, 8), "float32", "embedding"),
        ("albert.encoder.embedding_hidden_mapping_in.weight", (100, 8), "float32", "dense"),
        ("time_embedding.linear_1.weight", (100, 8), "float32", "dense"),
        ("fc.bias", (10,), "float32", "vector"),
        ("bn.num_batches_tracked", (), "int64", "buffer"),
        ("bn.running_mean", (16,), "float32", "buffer"),
        ("scale", (), "float32", "scalar"),
        ("fc.weight", (10, 64), "int8", "unsupported_quantisation"),
        ("mask_table", (10, 64), "bool", "not_floating"),
        ("fc.weight", (0, 64), "float32", "empty"),
        ("conv3d.weight", (8, 4, 3, 3, 3), "float32", "conv3d"),
        ("bilinear.weight", (8, 64, 128), "float32", "unsupported_shape"),
        ("z", (8, 64), "complex64", "dense"),
        ("spectral", (8, 16, 5, 6), "complex128", "conv2d"),
        ("Constant_5.weight", (3, 4), "int64", "not_floating"),
        ("dw.weight", (32, 1, 3, 3), "float32", "depthwise"),
        ("mask_conv.weight", (1, 96, 1, 1), "float32", "depthwise"),
        ("onnx::Conv_245", (1, 96, 1, 1), "float32", "depthwise"),
        ("245", (1, 96, 1, 1), "float32", "depthwise"),
        ("gamma", (1, 96, 1, 1), "float32", "vector"),
        ("layers.2.deepz_lambda", (32, 14, 14), "float32", "buffer"),
        ("layers.3.alpha_map", (1, 64, 7, 7), "float32", "buffer"),
        ("value_head.weight", (1, 64), "float32", "depthwise_dense"),
        ("relative_attention_bias.weight", (32, 1), "float32", "embedding"),
    ],
)
def test_kind_or_reason(name: str, shape: tuple[int, ...], dtype: str, kind: str) -> None:
    found, skips = layers([tensor(name, *shape, dtype=dtype)])
    assert [layer.layer_type for layer in found] + [skip.reason for skip in skips] == [kind]
    assert all(isinstance(skip.reason, Reason) and skip.detail for skip in skips)


def test_ids_are_positions_among_all_tensors_and_names_lose_their_suffix() -> None:
    refs = [tensor("a.bias", 3), tensor("a.weight", 3, 4), tensor("b.num", dtype="int64"), tensor("weight", 4, 4)]
    found, skips = layers(refs)
    assert [(layer.layer_id, layer.longname) for layer in found] == [(1, "a"), (3, "weight")]
    assert len(found) + len(skips) == len(refs)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "q"),
        ("encoder.layer.0.attention.self.key.weight", "k"),
        ("blk.attn.wv.weight", "v"),
        ("encoder.layer.0.attention.output.dense.weight", "o"),
        ("encoder.layer.0.output.dense.weight", "down"),
        ("attn.to_out.0.weight", "o"),
        ("model.layers.3.mlp.gate_proj.weight", "gate"),
        ("model.layers.3.mlp.up_proj.weight", "up"),
        ("model.layers.3.mlp.down_proj.weight", "down"),
        ("block.experts.7.w1.weight", "expert 7"),
        ("features.0.weight", None),
        ("monkey.weight", None),
    ],
)
def test_role_inside_the_block(name: str, role: str | None) -> None:
    (layer,), _ = layers([tensor(name, 8, 8)])
    assert layer.group == role


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_a_cifar_resnet_has_its_depth_in_layers(shared: Path, depth: int) -> None:
    (path,) = (shared / "zoo" / "cifar10-resnet").glob(f"resnet{depth}-*.th")
    tensors = open_checkpoint(str(path)).tensors
    found, skips = layers(tensors)
    assert Counter(layer.layer_type for layer in found) == {"conv2d": depth - 1, "dense": 1}
    assert len(found) + len(skips) == len(tensors)
    assert {skip.reason for skip in skips} == {"vector", "buffer"}


def test_layers_of_the_same_names_refer_to_their_own_tensors() -> None:
    """What was decided for one checkpoint serves the next one with the same names, types, shapes and configuration."""

    def tensors(path: str, rows: int = 32) -> list[TensorRef]:
        fused = TensorRef("a.qkv_proj.weight", path, "float32", (rows, 8), None, 64, rows * 32)
        return [fused, TensorRef("a.norm.weight", path, "float32", (8,), None, 0, 32)]

    config = {"model_type": "phi3", "num_attention_heads": 4, "num_key_value_heads": 2}
    first, second = (layers(tensors(path), config) for path in ("/one", "/two"))
    assert {layer.ref.path for layer in second[0]} == {"/two"}
    once, twice = ([(each.longname, each.shape, each.layer_id) for each in found] for found, _ in (first, second))
    assert once == twice
    assert [shape for _, shape, _ in once][-3:] == [(16, 8), (8, 8), (8, 8)]
    assert first[1] == second[1]
    first[1].clear()
    first[0].clear()
    assert layers(tensors("/two"), config) == second

    def shapes(rows: int, *more: object) -> set[tuple[int, ...]]:
        return {layer.shape for layer in layers(tensors("/one", rows), *more)[0]}

    assert shapes(48, config | {"num_key_value_heads": 4}) != shapes(48, config)
    assert shapes(32, config, rules_from({"*.qkv_proj.weight": {"split": "whole"}})) == {(32, 8)}
    scaled = layers(tensors("/one"), config, rules_from({"*.qkv_proj.weight": {"scale": 2.0}}))[0]
    assert {layer.factor for layer in scaled} == {2.0}
