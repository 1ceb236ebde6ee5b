"""Split rules: every family against the matrices that the model itself computes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.view import apply
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer


def split(config: dict[str, Any] | None = None, **shapes: tuple[int, ...]) -> dict[str, Layer]:
    """Layers of tensors by longname; names with '__' for dots."""
    refs = [TensorRef(name.replace("__", "."), "/x", "float32", shape, None, 0, 0) for name, shape in shapes.items()]
    found, _ = layers(refs, config)
    assert len({layer.layer_id for layer in found}) == len(found)
    return {layer.longname: layer for layer in found}


def test_torch_attention_is_the_whole_and_its_thirds() -> None:
    module = torch.nn.MultiheadAttention(8, 2)
    found = split(**{"attn.in_proj_weight": (24, 8), "attn.out_proj.weight": (8, 8)})
    assert [(n, la.layer_type, la.group) for n, la in found.items()] == [
        ("attn.in_proj_weight", "dense", "qkv"),
        ("attn.in_proj_weight.q", "dense_part", "q"),
        ("attn.in_proj_weight.k", "dense_part", "k"),
        ("attn.in_proj_weight.v", "dense_part", "v"),
        ("attn.out_proj", "dense", "o"),
    ]
    weight = module.in_proj_weight.detach().numpy()
    for part, wanted in zip("qkv", np.split(weight, 3), strict=True):
        np.testing.assert_array_equal(apply(weight, found[f"attn.in_proj_weight.{part}"].view), wanted)


def test_gpt2s_transposed_matrix_splits_along_its_columns() -> None:
    found = split(**{"h.0.attn.c_attn.weight": (8, 24)})
    weight = np.arange(8 * 24).reshape(8, 24)
    for part, wanted in zip("qkv", np.split(weight, 3, axis=1), strict=True):
        np.testing.assert_array_equal(apply(weight, found[f"h.0.attn.c_attn.{part}"].view), wanted)


@pytest.mark.parametrize("family", ["bloom", "gpt_neox"])
def test_heads_that_take_turns(family: str) -> None:
    found = split({"model_type": family, "num_attention_heads": 4}, **{"a.query_key_value.weight": (24, 8)})
    weight = np.arange(24 * 8).reshape(24, 8)
    for number, part in enumerate("qkv"):
        rows = [head * 6 + number * 2 + row for head in range(4) for row in range(2)]
        np.testing.assert_array_equal(apply(weight, found[f"a.query_key_value.{part}"].view), weight[rows])


def test_falcons_groups_of_heads() -> None:
    config = {"model_type": "falcon", "num_attention_heads": 4, "num_kv_heads": 2, "new_decoder_architecture": True}
    found = split(config, **{"a.query_key_value.weight": (16, 8)})
    weight = np.arange(16 * 8).reshape(16, 8)
    rows = {"q": [0, 1, 2, 3, 8, 9, 10, 11], "k": [4, 5, 12, 13], "v": [6, 7, 14, 15]}
    for part, wanted in rows.items():
        np.testing.assert_array_equal(apply(weight, found[f"a.query_key_value.{part}"].view), weight[wanted])


def test_fewer_key_and_value_heads() -> None:
    config = {"model_type": "phi3", "num_attention_heads": 4, "num_key_value_heads": 2}
    found = split(config, **{"a.qkv_proj.weight": (16, 8)})
    assert {part: found[f"a.qkv_proj.{part}"].shape for part in "qkv"} == {"q": (8, 8), "k": (4, 8), "v": (4, 8)}


@pytest.mark.parametrize(("shape", "config"), [((24, 8), {}), ((20, 8), {"model_type": "bloom"})])
def test_unknown_heads_leave_the_fused_matrix(shape: tuple[int, int], config: dict[str, Any]) -> None:
    assert list(split(config, **{"a.query_key_value.weight": shape})) == ["a.query_key_value"]


def test_keys_narrower_than_values_are_not_cut_in_thirds() -> None:
    assert list(split(**{"attn.qkv.weight": (1536, 448)})) == ["attn.qkv"]


@pytest.mark.parametrize(
    ("config", "gate_up", "down", "gate"),
    [
        ({"model_type": "mixtral", "hidden_size": 6}, (3, 8, 6), (3, 6, 4), lambda w, e: w[e, :4]),
        ({}, (3, 8, 6), (3, 6, 4), lambda w, e: w[e, :4]),
        ({"model_type": "llama4_text"}, (3, 6, 8), (3, 4, 6), lambda w, e: w[e, :, :4].T),
        ({"model_type": "gpt_oss"}, (3, 6, 8), (3, 4, 6), lambda w, e: w[e, :, ::2].T),
    ],
)
def test_stacked_experts(config: dict[str, Any], gate_up: Any, down: Any, gate: Any) -> None:
    found = split(config, **{"m.experts.gate_up_proj": gate_up, "m.experts.down_proj": down})
    weight = np.arange(np.prod(gate_up)).reshape(gate_up)
    assert len(found) == 9
    for expert in range(3):
        layer = found[f"m.experts.gate_up_proj.{expert}.gate"]
        np.testing.assert_array_equal(apply(weight, layer.view), gate(weight, expert))
        assert (layer.group, layer.layer_type) == (f"expert {expert}", "dense")
        assert found[f"m.experts.down_proj.{expert}"].shape == (6, 4)


def test_dbrx_stacks_experts_along_the_rows() -> None:
    config = {"model_type": "dbrx", "ffn_config": {"moe_num_experts": 4}}
    found = split(config, **{"b.ffn.experts.mlp.w1": (20, 6)})
    weight = np.arange(120).reshape(20, 6)
    np.testing.assert_array_equal(apply(weight, found["b.ffn.experts.mlp.w1.2"].view), weight[10:15])


@pytest.mark.parametrize(("module", "gates"), [(torch.nn.LSTM, 4), (torch.nn.GRU, 3), (torch.nn.RNN, 1)])
def test_recurrent_gates_are_those_of_torch(module: Any, gates: int) -> None:
    network = module(5, 7, num_layers=2, bidirectional=True)
    shapes = {f"rnn.{name}": tuple(value.shape) for name, value in network.state_dict().items()}
    found = split(**shapes)
    assert len(found) == 8 * gates
    assert {layer.layer_type for layer in found.values()} == {"rnn"}
    assert {layer.shape[0] for layer in found.values()} == {7}
    if gates == 4:
        # torch.nn.LSTM: rows of the input, forget, cell and output gates, in this order.
        weight = torch.zeros(28, 5)
        weight[14:21] = 1.0
        np.testing.assert_array_equal(apply(weight.numpy(), found["rnn.weight_ih_l0.cell_gate"].view), np.ones((7, 5)))


def test_projected_lstm_gates_keep_their_units() -> None:
    network = torch.nn.LSTM(5, 8, proj_size=3)
    found = split(**{f"r.{name}": tuple(value.shape) for name, value in network.state_dict().items()})
    assert found["r.weight_hh_l0.input_gate"].shape == (8, 3)
    assert found["r.weight_hr_l0"].shape == (3, 8)


@pytest.mark.parametrize(
    ("name", "shape", "kind", "view_shape"),
    [
        ("pos_embed", (1, 197, 12), "embedding", (197, 12)),
        ("pos_embed", (1, 14, 14, 12), "embedding", (196, 12)),
        ("pos_embed", (1, 12, 14, 14), "embedding", (12, 196)),
        ("encoder.pos_embedding", (1, 50, 16), "embedding", (50, 16)),
        ("rel_attn.seg_embed", (2, 4, 8), "embedding", (2, 32)),
        ("attn.relative_position_bias_table", (49, 4), "embedding", (49, 4)),
        ("query_tokens", (1, 32, 16), "embedding", (32, 16)),
        ("shared.weight", (64, 8), "embedding", (64, 8)),
        ("cls.predictions.decoder.weight", (64, 8), "embedding", (64, 8)),
        ("lm_head.dense.weight", (8, 8), "dense", (8, 8)),
        ("conv.weight", (8, 4, 3, 3, 3), "conv3d", (8, 4, 3, 3, 3)),
        ("pos_conv_embed.conv.weight", (32, 4, 128), "conv1d", (32, 4, 128)),
        ("dw.weight", (32, 1, 3, 3), "depthwise", (32, 1, 3, 3)),
        ("layer.0.rel_attn.q", (32, 4, 8), "dense", (32, 32)),
    ],
)
def test_tables_and_kernels(name: str, shape: tuple[int, ...], kind: str, view_shape: tuple[int, ...]) -> None:
    (layer,) = split(**{name: shape}).values()
    assert (layer.layer_type, layer.shape) == (kind, view_shape)


@pytest.mark.parametrize(
    ("name", "shape", "reason", "failed"),
    [
        ("cls_token", (1, 1, 192), "vector", False),
        ("gamma", (64, 1, 1), "vector", False),
        ("h.0.attn.bias", (1, 1, 64, 64), "buffer", False),
        ("experts.gate_up_proj_bias", (4, 64), "vector", False),
        ("rel_attn.mystery", (2, 40, 80), "unsupported_shape", True),
        ("bilinear.weight", (8, 64, 128), "unsupported_shape", True),
    ],
)
def test_what_is_no_matrix_has_a_reason(name: str, shape: tuple[int, ...], reason: str, failed: bool) -> None:
    found, (skip,) = layers([TensorRef(name, "/x", "float32", shape, None, 0, 0)])
    assert (found, skip.reason, skip.failed) == ([], reason, failed)


@pytest.mark.parametrize("value", [None, "4", -1, True, [4], {"a": 1}, 10**30])
def test_a_hostile_configuration_only_costs_the_parts(value: object) -> None:
    config = {"model_type": "bloom", "num_attention_heads": value, "ffn_config": value, "quantization_config": value}
    found = split(config, **{"a.query_key_value.weight": (24, 8), "experts.mlp.w1": (24, 8)})
    assert found["a.query_key_value"].shape == (24, 8)


ROLES = {
    "transformer.h.0.attn.c_proj": "o",
    "transformer.h.0.mlp.c_fc": "up",
    "transformer.h.0.mlp.c_proj": "down",
    "bert.encoder.layer.3.attention.self.query": "q",
    "bert.encoder.layer.3.attention.output.dense": "o",
    "bert.encoder.layer.3.intermediate.dense": "up",
    "bert.encoder.layer.3.output.dense": "down",
    "model.layers.0.self_attn.k_proj": "k",
    "model.layers.0.mlp.gate_proj": "gate",
    "model.layers.0.block_sparse_moe.experts.5.w2": "expert 5",
    "model.layers.0.block_sparse_moe.gate": "router",
    "vit.encoder.layer.0.attention.attention.value": "v",
    "blocks.0.attn.proj": "o",
    "blocks.0.mlp.fc1": "up",
    "encoder.layers.encoder_layer_0.mlp.3": "down",
    "decoder.block.0.layer.2.DenseReluDense.wo": "down",
    "decoder.block.0.layer.0.SelfAttention.o": "o",
    "layer1.0.conv2": "conv2",
    "layer2.0.downsample.0": "shortcut",
    "features.stage2.unit1.body.conv3.conv": "conv3",
    "features.init_block.conv.conv": "stem",
    "conv1": "stem",
    "patch_embed.proj": "stem",
    "features.denseblock1.denselayer2.conv1": "conv1",
    "features.transition1.conv": "transition",
    "features.7": None,
    "classifier.6": "head",
    "output.fc1.fc": "head",
    "fc": "head",
    "features.4.block.1.fc1": None,
    "layer1.0.se.fc1": "squeeze",
    "blk.3.attn_output": "o",
    "blk.3.ffn_gate": "gate",
    "blk.3.attn_q": "q",
    "mixer.out_proj": "mixer",
}


@pytest.mark.parametrize("name", ROLES)
def test_roles_across_naming_schemes(name: str) -> None:
    (layer,) = split(**{f"{name}.weight": (8, 8)}).values()
    assert layer.group == ROLES[name]
