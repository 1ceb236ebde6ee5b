"""Packed weights: the packed form is built here from known values, and what is read must be those values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.zoo.layers.opened import opened
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.packed.bits import unpack
from zoospectra.zoo.layers.values import layer_hash, read_layer

RNG = np.random.default_rng(0)


def pack(values: Any, bits: int) -> Any:
    """Integers (rows, n) as one bit stream a row, lowest bit first, in int32 words: what AutoGPTQ's pack does."""
    rows = [sum(int(value) << (bits * place) for place, value in enumerate(row)) for row in values]
    words = [[(row >> (32 * word)) & 0xFFFFFFFF for word in range(values.shape[1] * bits // 32)] for row in rows]
    return np.array(words, dtype=np.uint32).view(np.int32)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8])
def test_bit_streams(bits: int) -> None:
    values = RNG.integers(0, 1 << bits, (7, 32))
    np.testing.assert_array_equal(unpack(pack(values, bits), bits), values)


def test_half_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        unpack(np.zeros((2, 1), np.int32), 3)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("ordered", [False, True])
def test_gptq(tmp_path: Path, bits: int, version: str, ordered: bool) -> None:
    out, inputs, groups = 64, 128, 4
    shift = 1 if version == "gptq" else 0
    codes = RNG.integers(0, 1 << bits, (inputs, out))
    zeros = RNG.integers(1, 1 << bits, (groups, out))
    scales = RNG.uniform(0.01, 1, (groups, out)).astype(np.float16)
    order = RNG.integers(0, groups, inputs).astype(np.int32) if ordered else np.arange(inputs, dtype=np.int32) // 32
    tensors = {
        "m.q_proj.qweight": np.ascontiguousarray(pack(codes.T, bits).T),
        "m.q_proj.qzeros": pack(zeros - shift, bits),
        "m.q_proj.scales": scales,
        "m.q_proj.bias": np.zeros(out, np.float16),
    }
    if ordered:
        tensors["m.q_proj.g_idx"] = order
    found, skips = opened(
        tmp_path, tensors, {"quantization_config": {"quant_method": "gptq", "checkpoint_format": version}}
    )
    layer = found["m.q_proj"]
    wanted = (scales.astype(np.float64)[order] * (codes - zeros[order])).T
    np.testing.assert_array_equal(read_layer(layer), wanted)
    assert (layer.dtype, layer.layer_type, layer.group, layer.shape) == (f"gptq-int{bits}", "dense", "q", (out, inputs))
    assert skips["m.q_proj.scales"].reason == "quantisation_part"


def test_awq(tmp_path: Path) -> None:
    out, inputs, groups = 32, 64, 2
    codes, zeros = RNG.integers(0, 16, (inputs, out)), RNG.integers(0, 16, (groups, out))
    scales = RNG.uniform(0.01, 1, (groups, out)).astype(np.float16)
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def packed(values: Any) -> Any:
        return pack(values.reshape(len(values), -1, 8)[:, :, order].reshape(len(values), -1), 4)

    tensors = {"m.up_proj.qweight": packed(codes), "m.up_proj.qzeros": packed(zeros), "m.up_proj.scales": scales}
    found, _ = opened(tmp_path, tensors)
    group = np.arange(inputs) // 32
    np.testing.assert_array_equal(
        read_layer(found["m.up_proj"]), (scales.astype(np.float64)[group] * (codes - zeros[group])).T
    )
    assert found["m.up_proj"].dtype == "awq-int4"


def state(**values: Any) -> Any:
    return np.frombuffer(json.dumps(values).encode(), dtype=np.uint8)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_bitsandbytes_four_bits(tmp_path: Path, nested: bool, kind: str) -> None:
    out, inputs, block = 48, 32, 64
    table = np.sort(RNG.uniform(-1, 1, 16)).astype(np.float32)
    codes = RNG.integers(0, 16, out * inputs, dtype=np.uint8)
    blocks = out * inputs // block
    tensors: dict[str, Any] = {
        "m.o_proj.weight": (codes[0::2] << 4 | codes[1::2]).reshape(-1, 1),
        "m.o_proj.weight.quant_map": table,
        "m.o_proj.weight.absmax": RNG.uniform(0.5, 2, blocks).astype(np.float32),
    }
    said = {"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": [out, inputs]}
    absmax = tensors["m.o_proj.weight.absmax"]
    if nested:
        inner = RNG.uniform(0, 1, 256).astype(np.float32)
        small, outer = RNG.integers(0, 256, blocks, dtype=np.uint8), RNG.uniform(0.5, 1, 3).astype(np.float32)
        tensors |= {
            "m.o_proj.weight.absmax": small,
            "m.o_proj.weight.nested_absmax": outer,
            "m.o_proj.weight.nested_quant_map": inner,
        }
        said |= {"nested_blocksize": 8, "nested_dtype": "float32", "nested_offset": 0.25}
        absmax = inner[small] * outer[np.arange(blocks) // 8] + np.float32(0.25)
    tensors[f"m.o_proj.weight.quant_state.bitsandbytes__{kind}"] = state(**said)
    found, skips = opened(tmp_path, tensors)
    layer = found["m.o_proj"]
    wanted = (table[codes] * absmax[np.arange(out * inputs) // block]).reshape(out, inputs)
    np.testing.assert_array_equal(read_layer(layer), wanted)
    assert (layer.dtype, layer.group) == (f"bnb-{kind}", "o")
    assert {skip.reason for skip in skips.values()} == {"quantisation_part"}


def test_bitsandbytes_int8(tmp_path: Path) -> None:
    codes = RNG.integers(-127, 128, (16, 24), dtype=np.int8)
    scale = RNG.uniform(0.1, 1, 16).astype(np.float32)
    found, _ = opened(tmp_path, {"m.fc1.weight": codes, "m.fc1.SCB": scale, "m.fc1.weight_format": np.uint8(0)})
    wanted = codes.astype(np.float64) * scale.astype(np.float64)[:, None] / 127
    np.testing.assert_allclose(read_layer(found["m.fc1"]), wanted, rtol=1.2e-7)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8])
@pytest.mark.parametrize(
    ("scale", "shape"),
    [
        ("weight_scale", ()),
        ("weight_scale", (1,)),
        ("weight_scale", (200, 1)),
        ("weight_scale", (200,)),
        ("weight_scale_inv", (2, 3)),
    ],
)
def test_scaled_eight_bits(tmp_path: Path, dtype: torch.dtype, scale: str, shape: tuple[int, ...]) -> None:
    codes = (torch.randn(200, 300, generator=torch.Generator().manual_seed(0)) * 20).to(dtype)
    factor = torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.5
    found, _ = opened(tmp_path, {"m.down_proj.weight": codes, f"m.down_proj.{scale}": factor})
    whole = factor
    if shape == (2, 3):
        whole = factor.repeat_interleave(128, 0)[:200].repeat_interleave(128, 1)[:, :300]
    elif shape == (200,):
        whole = factor[:, None]
    np.testing.assert_array_equal(read_layer(found["m.down_proj"]), (codes.float() * whole).numpy())
    assert found["m.down_proj"].dtype == f"{str(dtype).removeprefix('torch.')}+scale"


def test_the_block_size_is_the_configurations(tmp_path: Path) -> None:
    codes = torch.ones(40, 60).to(torch.float8_e4m3fn)
    factor = torch.arange(12.0).reshape(4, 3)
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [10, 20]}}
    found, _ = opened(tmp_path, {"a.weight": codes, "a.weight_scale_inv": factor}, config)
    np.testing.assert_array_equal(read_layer(found["a"]), np.kron(factor.numpy(), np.ones((10, 20))))


def test_a_packed_fused_matrix_is_split_too(tmp_path: Path) -> None:
    codes, factor = torch.randn(24, 8).to(torch.float8_e4m3fn), torch.rand(24, 1)
    found, _ = opened(tmp_path, {"attn.qkv.weight": codes, "attn.qkv.weight_scale": factor})
    np.testing.assert_array_equal(read_layer(found["attn.qkv.k"]), (codes.float() * factor).numpy()[8:16])
    assert len({layer_hash(layer) for layer in found.values()}) == 4


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"m.weight_packed": np.zeros((8, 8), np.int32)}, "compressed-tensors"),
        ({"m.W_q": np.zeros((8, 8), np.uint8)}, "HQQ"),
        ({"experts.gate_up_proj_blocks": np.zeros((2, 8, 4, 16), np.uint8)}, "MXFP4"),
        ({"m.qweight": np.zeros((8, 8), np.int32)}, "no known layout"),
        ({"m.weight": np.zeros((8, 8), np.int8)}, "integer weights"),
        ({"m.weight": torch.zeros(8, 8).to(torch.float8_e4m3fn), "m.weight_scale": torch.zeros(3, 5)}, "scales"),
        (
            {
                "m.weight": np.zeros((8, 1), np.uint8),
                "m.weight.quant_state.bitsandbytes__nf4": state(shape=[10**9, 10**9], blocksize=64),
            },
            "bitsandbytes",
        ),
        (
            {
                "m.qweight": np.zeros((8, 8), np.int32),
                "m.qzeros": np.zeros((3, 3), np.int32),
                "m.scales": np.zeros((2, 8), np.float16),
            },
            "do not fit",
        ),
    ],
)
def test_what_cannot_be_unpacked_is_refused_by_name(tmp_path: Path, tensors: dict[str, Any], words: str) -> None:
    found, skips = opened(tmp_path, tensors)
    assert found == {}
    refused = [skip for skip in skips.values() if skip.reason == "unsupported_quantisation"]
    assert refused
    assert any(words in skip.detail and skip.failed for skip in refused)


PAIRS = {
    "peft": ("base_model.model.m.q_proj", ".lora_A.weight", ".lora_B.weight"),
    "kohya": ("lora_unet_q", ".lora_down.weight", ".lora_up.weight"),
    "diffusers": ("unet.to_q", "_lora.down.weight", "_lora.up.weight"),
    "first": ("unet:0", ":down", ":up"),
}


@pytest.mark.parametrize("names", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("alpha", [None, 2.0])
def test_low_rank_pairs_are_one_scaled_product(
    tmp_path: Path, names: tuple[str, str, str], alpha: float | None
) -> None:
    base, down_end, up_end = names
    down, up = (RNG.standard_normal(shape).astype(np.float16) for shape in ((4, 24), (16, 4)))
    tensors: dict[str, Any] = {base + down_end: down, base + up_end: up}
    if alpha is not None:
        tensors[f"{base}.alpha"] = np.float32(alpha)
    found, skips = opened(tmp_path, tensors)
    (layer,) = found.values()
    scale = 1.0 if alpha is None else alpha / 4
    np.testing.assert_allclose(read_layer(layer), scale * up.astype(float) @ down.astype(float), rtol=1e-14)
    assert (layer.layer_type, layer.shape, layer.dtype) == ("lora", (16, 24), "float16")
    assert skips[base + up_end].reason == "lora_factor"


@pytest.mark.parametrize(
    ("extra", "scale"), [({}, 8.0), ({"use_rslora": True}, 16.0), ({"alpha_pattern": {"q_proj": 4}}, 1.0)]
)
def test_alpha_of_an_adapter_folder(tmp_path: Path, extra: dict[str, Any], scale: float) -> None:
    down, up = RNG.standard_normal((4, 24)), RNG.standard_normal((16, 4))
    save_file(
        {"".join(PAIRS["peft"][:2]): torch.tensor(down), PAIRS["peft"][0] + PAIRS["peft"][2]: torch.tensor(up)},
        tmp_path / "adapter_model.safetensors",
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 32, **extra}))
    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        checkpoint = open_checkpoint(str(path))
        (layer,), _ = layers(checkpoint.tensors, checkpoint.config)
        assert (layer.longname, layer.group) == ("m.q_proj", "q")
        np.testing.assert_allclose(read_layer(layer), scale * up @ down, rtol=1e-13)


def test_a_convolutions_pair_is_a_matrix(tmp_path: Path) -> None:
    down, up = (
        RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
        RNG.standard_normal((8, 4, 1, 1)).astype(np.float32),
    )
    found, _ = opened(tmp_path, {"c.lora_down.weight": down, "c.lora_up.weight": up})
    np.testing.assert_allclose(read_layer(found["c"]), up[:, :, 0, 0].astype(float) @ down.reshape(4, 27), rtol=1e-14)


@pytest.mark.parametrize("name", ["c.lora_down.weight", "c.hada_w1_a", "c.lokr_w1"])
def test_factors_without_a_partner_are_refused(tmp_path: Path, name: str) -> None:
    found, skips = opened(tmp_path, {name: np.ones((4, 8), np.float32)})
    assert found == {}
    assert (skips[name].reason, skips[name].failed) == ("lora_factor", True)


def test_a_product_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    thin = np.zeros((1, 10**6), np.float32)
    found, skips = opened(tmp_path, {"c.lora_down.weight": thin, "c.lora_up.weight": thin.T.copy()})
    assert found == {}
    assert skips["c.lora_down.weight"].reason == "too_large"


def test_the_real_low_rank_file(shared: Path) -> None:
    checkpoint = open_checkpoint(str(shared / "zoo" / "formats" / "lora_disney.safetensors"))
    found, skips = layers(checkpoint.tensors, checkpoint.config)
    refs = {ref.name: ref for ref in checkpoint.tensors}
    assert len(found) == 192
    assert {skip.reason for skip in skips} == {"lora_factor", "vector"}
    for layer in found[::40]:
        made = layer.assembly
        assert made is not None
        assert made.parts == (refs[f"{layer.longname}:up"], refs[f"{layer.longname}:down"])
        whole = read_layer(layer)
        row, column = np.unravel_index(np.abs(whole).argmax(), whole.shape)
        of_rank_one = np.outer(whole[:, column], whole[row]) / whole[row, column]
        np.testing.assert_allclose(whole, of_rank_one, rtol=1e-5, atol=1e-6 * abs(whole[row, column]))


def test_tied_weights_are_one_analysis(tmp_path: Path) -> None:
    table = torch.randn(10, 4)
    torch.save({"wte.weight": table, "lm_head.weight": table}, tmp_path / "x.pt")
    found, _ = layers(open_checkpoint(str(tmp_path / "x.pt")).tensors)
    assert [layer.layer_type for layer in found] == ["embedding", "embedding"]
    assert len({layer_hash(layer) for layer in found}) == 1
