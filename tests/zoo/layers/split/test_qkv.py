"""q, k and v of fused matrices are those that the model itself multiplies.

The oracle is transformers: one token at position 0 (where rotations are the identity) goes through a small random
model, and what its first attention multiplies is caught. Families that are not in transformers are compared with the
reshape of their published code, written out here.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.checkpoint.view import apply
from zoospectra.zoo.layers.choose import layers

SIZES = {"num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 64, "max_position_embeddings": 32}
SMALL = SIZES | {"hidden_size": 32}
INNER = SMALL | {"intermediate_size": 48}
GPT = {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 64, "n_positions": 32}
MOSAIC = {"d_model": 32, "n_layers": 1, "n_heads": 4, "vocab_size": 64, "max_seq_len": 32}
LINEAR = {"num_key_value_heads": 2, "num_local_experts": 2, "layer_types": ["linear_attention"]}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 1, "n_head": 4, "vocab_size": 64}),
    "gpt_neox": ("GPTNeoX", INNER),
    "gpt_neox_japanese": ("GPTNeoXJapanese", SMALL),
    "persimmon": ("Persimmon", INNER | {"qk_layernorm": False}),
    "falcon, groups": ("Falcon", SMALL | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, one key": ("Falcon", SMALL | {"multi_query": True}),
    "falcon, heads": ("Falcon", SMALL | {"multi_query": False, "alibi": True}),
    "gpt_bigcode, one key": ("GPTBigCode", GPT | {"multi_query": True}),
    "gpt_bigcode, heads": ("GPTBigCode", GPT | {"multi_query": False}),
    "codegen": ("CodeGen", GPT | {"rotary_dim": 4}),
    "mpt": ("Mpt", MOSAIC),
    "dbrx": (
        "Dbrx",
        MOSAIC | {"pad_token_id": 0, "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 1e6}},
    ),
    "phi3": ("Phi3", INNER | {"num_key_value_heads": 2, "pad_token_id": 0}),
    "phi3, one width": ("Phi3", INNER | {"num_key_value_heads": 4, "pad_token_id": 0}),
    "gpt2": ("GPT2", GPT),
    "deberta": ("Deberta", INNER),
    "modernbert": ("ModernBert", INNER | {"pad_token_id": 0}),
    "minimax": ("MiniMax", INNER | LINEAR),
}


class Multiplications(TorchFunctionMode):
    """Operands of every product while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("matmul", "bmm", "__matmul__", "baddbmm"):
            operands = (*args, *(kwargs or {}).values()) if name == "baddbmm" else args
            tensors = [value for value in operands if isinstance(value, torch.Tensor)]
            self.seen.append((tensors[-2], tensors[-1]))
        return func(*args, **(kwargs or {}))


def values(array: Any) -> Any:
    """The different values of an array, sorted, up to a positive factor."""
    flat = np.asarray(array.detach() if isinstance(array, torch.Tensor) else array, np.float64).ravel()
    return np.unique(np.round(flat / np.abs(flat).max(), 5)) if flat.any() else flat[:1]


def same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, atol=3e-5))


@pytest.mark.oracle
@pytest.mark.parametrize("case", FAMILIES)
def test_the_parts_are_what_the_model_multiplies(case: str) -> None:
    transformers = pytest.importorskip("transformers")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    name, options = FAMILIES[case]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**options)
    config._attn_implementation = "eager"
    if name == "Dbrx":
        config.ffn_config.ffn_hidden_size, config.ffn_config.moe_num_experts = 16, 2
    model = getattr(transformers, f"{name}Model")(config).eval()
    state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
    refs = [TensorRef(key, "/x", "float32", tuple(value.shape), None, 0, 0) for key, value in state.items()]
    chosen, skips = layers(refs, config.to_dict())
    assert not [skip for skip in skips if skip.reason == Reason.UNSPLIT]
    parts = {
        layer.group: layer for layer in chosen if layer.layer_type == "dense_part" and layer.group in ("q", "k", "v")
    }
    assert set(parts) == {"q", "k", "v"}
    fused = parts["q"].ref.name
    inputs: list[Any] = []
    with torch.no_grad(), Multiplications() as products:
        for key, value in model.named_parameters():
            if key.endswith("bias"):
                value.zero_()
            elif "norm" not in key and "ln" not in key:
                value.normal_()
        module = model.get_submodule(fused.removesuffix(".weight"))
        module.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
        model(torch.tensor([[7]]))
    weight, x = state[fused].numpy(), inputs[0].numpy().reshape(-1)
    wanted: dict[str, Any] = {}
    for role, layer in parts.items():
        matrix = apply(weight, layer.view)
        out = x @ matrix if name in ("GPT2",) else matrix @ x
        wanted[str(role)] = values(out / (1 + np.exp(-out)) if name == "MiniMax" else out)
    left, right = [values(a) for a, _ in products.seen], [values(b) for _, b in products.seen]
    if name == "MiniMax":  # keys times values, queries times the sum of those; one token leaves the keys as they are
        assert any(same(wanted["q"], value) for value in left)
        assert any(same(wanted["k"], value) for value in left)
    else:
        assert any(same(wanted["q"], a) and same(wanted["k"], b) for a, b in zip(left, right, strict=True))
    assert any(same(wanted["v"], value) for value in right)


def split(config: dict[str, Any], name: str, weight: Any, **others: tuple[int, ...]) -> dict[str, Any]:
    """Parts of one fused matrix, as values; 'why' when there are none."""
    shapes = {name: weight.shape} | {key.replace("__", "."): shape for key, shape in others.items()}
    refs = [TensorRef(key, "/x", "float32", shape, None, 0, 0) for key, shape in shapes.items()]
    chosen, skips = layers(refs, config)
    whole = [layer for layer in chosen if layer.ref.name == name and not layer.view]
    assert [layer.group for layer in whole] == ["qkv"], "the fused matrix is a layer, once"
    parts = {str(la.group): apply(weight, la.view) for la in chosen if la.ref.name == name and la.view}
    why = [skip for skip in skips if skip.reason == Reason.UNSPLIT]
    assert all(skip.tensor == name and not skip.failed for skip in why)
    return parts | {"why": why[0].detail} if why else parts


RNG = np.random.default_rng(0)
D, H, G, W = 4, 8, 2, 24
"""Width of a head, query heads, key and value heads, inputs."""
Q, K, V = (RNG.standard_normal((n * D, W)) for n in (H, G, G))
K8, V8 = (RNG.standard_normal((H * D, W)) for _ in "kv")


def grouped() -> Any:
    """InternLM2: rearrange(qkv, 'b q (h gs d) -> b q h gs d', gs=2 + num_key_value_groups)."""
    turns = [Q.reshape(G, H // G, D, W), K.reshape(G, 1, D, W), V.reshape(G, 1, D, W)]
    return np.concatenate(turns, 1).reshape(-1, W)


def by_heads() -> Any:
    """mixed.view(*, heads, 3 * head), split in three along the last axis."""
    return np.concatenate([part.reshape(H, D, W) for part in (Q, K8, V8)], 1).reshape(-1, W)


INTERNLM2 = {"model_type": "internlm2", "num_attention_heads": H, "num_key_value_heads": G}
GLM3 = {"model_type": "chatglm", "num_attention_heads": H, "multi_query_group_num": G, "multi_query_attention": True}
PUBLISHED: dict[str, tuple[dict[str, Any], str, Any, bool]] = {
    "internlm2": (INTERNLM2, "model.layers.0.attention.wqkv.weight", grouped(), True),
    "internvl": (
        {"model_type": "internvl_chat", "llm_config": INTERNLM2, "vision_config": {"num_attention_heads": 3}},
        "language_model.model.layers.0.attention.wqkv.weight",
        grouped(),
        True,
    ),
    "phi3small": (
        INTERNLM2 | {"model_type": "phi3small"},
        "model.layers.0.self_attn.query_key_value.weight",
        grouped(),
        True,
    ),
    "megatron core": (
        {"num_attention_heads": H, "num_query_groups": G, "num_key_value_heads": G},
        "decoder.layers.0.self_attention.linear_qkv.weight",
        grouped(),
        True,
    ),
    "chatglm3": (
        GLM3,
        "transformer.encoder.layers.0.self_attention.query_key_value.weight",
        np.concatenate([Q, K, V]),
        True,
    ),
    "chatglm-6b": (
        {"model_type": "chatglm", "num_attention_heads": H},
        "transformer.layers.0.attention.query_key_value.weight",
        by_heads(),
        False,
    ),
    "qwen": (
        {"model_type": "qwen", "num_attention_heads": H, "kv_channels": D, "visual": {"heads": 2}},
        "transformer.h.0.attn.c_attn.weight",
        np.concatenate([Q, K8, V8]),
        False,
    ),
    "qwen-vl's vision": (
        {"model_type": "qwen", "num_attention_heads": 3, "visual": {"heads": H, "width": W}},
        "transformer.visual.transformer.resblocks.0.attn.in_proj.weight",
        by_heads(),
        False,
    ),
    "qwen2-vl's vision": (
        {
            "model_type": "qwen2_vl",
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vision_config": {"num_heads": H},
        },
        "visual.blocks.0.attn.qkv.weight",
        np.concatenate([RNG.standard_normal((W, W)) for _ in range(3)]),
        False,
    ),
    "baichuan": (
        {"model_type": "baichuan", "num_attention_heads": H},
        "model.layers.0.self_attn.W_pack.weight",
        np.concatenate([Q, K8, V8]),
        False,
    ),
    "mpt, one key": (
        {"model_type": "mpt", "n_heads": H, "attn_config": {"attn_type": "multiquery_attention"}},
        "transformer.blocks.0.attn.Wqkv.weight",
        np.concatenate([Q, K[:D], V[:D]]),
        True,
    ),
    "fuyu": (
        {"model_type": "fuyu", "text_config": {"model_type": "persimmon", "num_attention_heads": H}},
        "language_model.model.layers.0.self_attn.query_key_value.weight",
        by_heads(),
        False,
    ),
    "bloom as GGUF": (
        {"architecture": "bloom", "head_count": H},
        "blk.0.attn_qkv.weight",
        np.concatenate([RNG.standard_normal((W, W)) for _ in range(3)]),
        False,
    ),
}


@pytest.mark.parametrize("family", PUBLISHED)
def test_families_by_their_published_code(family: str) -> None:
    config, name, weight, few = PUBLISHED[family]
    parts = split(config, name, weight)
    third = np.split(weight, 3) if len(weight) == 3 * W else [Q, K8, V8]
    wanted = dict(zip("qkv", (Q, K, V) if few else third, strict=True))
    if family == "mpt, one key":
        wanted |= {"k": K[:D], "v": V[:D]}
    assert set(parts) == {"q", "k", "v"}
    for role, matrix in wanted.items():
        np.testing.assert_array_equal(parts[role], matrix)


@pytest.mark.parametrize(
    ("config", "name", "shape", "why"),
    [
        ({}, "a.query_key_value.weight", (72, 24), "no configuration"),
        ({}, "a.attention.wqkv.weight", (48, 24), "no configuration"),
        ({}, "a.self_attn.qkv_proj.weight", (72, 24), "no configuration"),
        ({"model_type": "new"}, "a.query_key_value.weight", (72, 24), "'new'"),
        ({"model_type": "new", "num_attention_heads": 8}, "a.qkv_proj.weight", (48, 24), "'new'"),
        ({"model_type": "bloom"}, "a.query_key_value.weight", (72, 24), "how many heads"),
        (INTERNLM2 | {"num_key_value_heads": 3}, "a.wqkv.weight", (48, 24), "8 heads and 3 groups"),
        (
            {"model_type": "qwen2_vl", "num_attention_heads": 4},
            "visual.b.attn.qkv.weight",
            (40, 24),
            "no number of heads",
        ),
    ],
)
def test_an_unknown_layout_leaves_the_fused_matrix_and_a_row(
    config: dict[str, Any], name: str, shape: tuple[int, int], why: str
) -> None:
    parts = split(config, name, np.zeros(shape))
    assert set(parts) == {"why"}
    assert why in parts["why"]


def test_mambas_in_proj_is_no_attention() -> None:
    (layer,), skips = layers([TensorRef("layers.0.mixer.in_proj.weight", "/x", "float32", (72, 24), None, 0, 0)], {})
    assert (layer.group, skips) == ("mixer", [])
