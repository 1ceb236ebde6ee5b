"""Schemes of quantisation: codes made here as the library makes them, values by the published rule in float64.

The last tests compare with the libraries themselves where they are installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.zoo.layers.opened import opened
from zoospectra.zoo.layers.values import layer_hash, read_layer

RNG = np.random.default_rng(0)
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def stream(values: Any, bits: int) -> Any:
    """Integers (rows, n) as one bit stream a row in int32 words, the lowest bit first, padded with zeros."""
    count = -(-values.shape[1] * bits // 32)
    rows = [sum(int(value) << (bits * place) for place, value in enumerate(row)) for row in values]
    words = [[(row >> (32 * word)) & 0xFFFFFFFF for word in range(count)] for row in rows]
    return np.array(words, dtype=np.uint32).view(np.int32)


def uints(words: Any) -> torch.Tensor:
    return torch.tensor(words).view(torch.uint32)


def nibbles(codes: Any) -> Any:
    return (codes[..., 0::2] | codes[..., 1::2] << 4).astype(np.uint8)


def assert_read(
    folder: Path,
    tensors: Mapping[str, Any],
    wanted: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    rtol: float = 0.0,
    metadata: dict[str, str] | None = None,
) -> None:
    """These layers and no others, with these values; everything else goes with them."""
    found, skips = opened(folder, tensors, config, metadata)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(read_layer(found[name]), np.asarray(values), rtol=rtol, atol=0)
    assert not any(skip.failed for skip in skips.values())
    assert {skip.reason for skip in skips.values()} <= {"quantisation_part", "vector", "scalar"}
    assert len({layer_hash(layer) for layer in found.values()}) == len(found)


@pytest.mark.parametrize("name", ["scale", "weight_scale", "weight_scale_inv", "scale_weight", "scales", "w_scale"])
def test_eight_bits_with_scales_of_any_name(tmp_path: Path, name: str) -> None:
    codes = (torch.randn(256, 384) * 20).to(torch.float8_e4m3fn)
    scale = torch.rand(2, 3) + 0.5
    whole = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)
    assert_read(tmp_path, {"m.wo.weight": codes, f"m.wo.{name}": scale}, {"m.wo": codes.float() * whole})


def test_microscaled_eight_bits(tmp_path: Path) -> None:
    codes = (torch.randn(16, 64) * 20).to(torch.float8_e4m3fn)
    scale = torch.tensor(RNG.integers(120, 130, (16, 2)), dtype=torch.uint8)
    whole = (2.0 ** (scale.float() - 127)).repeat_interleave(32, 1)
    assert_read(tmp_path, {"m.weight": codes, "m.weight_scale": scale}, {"m": codes.float() * whole})


@pytest.mark.parametrize(("dtype", "low"), [(np.int8, -128), (np.uint8, 0)])
def test_eight_bits_with_zero_points(tmp_path: Path, dtype: type, low: int) -> None:
    codes = RNG.integers(low, low + 256, (16, 64)).astype(dtype)
    zero, scale = RNG.integers(low, low + 256, (16, 1)).astype(dtype), RNG.uniform(0.5, 1, (16, 1)).astype(np.float16)
    wanted = (codes.astype(float) - zero) * scale.astype(float)
    assert_read(tmp_path, {"m.weight": codes, "m.weight_scale": scale, "m.weight_zero_point": zero}, {"m": wanted})


def test_codes_of_fewer_bits_in_bytes_are_not_taken_for_eight(tmp_path: Path) -> None:
    tensors = {"m.weight": RNG.integers(-128, 128, (16, 64)).astype(np.int8), "m.weight_scale": np.ones((16, 1), "f4")}
    found, skips = opened(tmp_path, tensors, {"quantization_config": {"quant_method": "x", "bits": 4}})
    assert found == {}
    assert [str(skips[name].reason) for name in tensors] == ["unsupported_quantisation", "quantisation_part"]


def test_integers_in_a_float_type_are_scaled_where_the_file_says_how(tmp_path: Path) -> None:
    codes, scale = RNG.integers(-8, 8, (16, 64)).astype(np.float16), RNG.uniform(0.5, 1, (16, 1)).astype(np.float16)
    assert_read(tmp_path / "a", {"m.weight": codes, "m.weight_scale": scale}, {"m": codes.astype(float) * scale})
    weight = RNG.normal(size=(16, 64)).astype(np.float16)  # only calibrated: the scale is for later
    assert_read(tmp_path / "b", {"m.weight": weight, "m.weight_scale": scale}, {"m": weight})


def test_mxfp4_of_gpt_oss(tmp_path: Path) -> None:
    codes = RNG.integers(0, 16, (3, 64, 2, 32))
    scales = RNG.integers(120, 130, (3, 64, 2)).astype(np.uint8)
    values = (E2M1[codes] * 2.0 ** (scales.astype(float) - 127)[..., None]).reshape(3, 64, 64)
    tensors = {"e.experts.down_proj_blocks": nibbles(codes), "e.experts.down_proj_scales": scales}
    wanted = {f"e.experts.down_proj.{expert}": values[expert] for expert in range(3)}
    assert_read(tmp_path, tensors, wanted, {"model_type": "gpt_oss"})


@pytest.mark.parametrize("layout", ["compressed-tensors", "mlx"])
def test_mxfp4(tmp_path: Path, layout: str) -> None:
    codes, scales = RNG.integers(0, 16, (16, 64)), RNG.integers(120, 130, (16, 2)).astype(np.uint8)
    wanted = E2M1[codes] * np.repeat(2.0 ** (scales.astype(float) - 127), 32, axis=1)
    packed = nibbles(codes)
    tensors = {"m.weight_packed": packed, "m.weight_scale": scales}
    if layout == "mlx":
        tensors = {"m.weight": uints(packed.view(np.int32)), "m.scales": scales}
    assert_read(tmp_path, tensors, {"m": wanted})


@pytest.mark.parametrize("layout", ["modelopt", "compressed-tensors"])
def test_nvfp4(tmp_path: Path, layout: str) -> None:
    codes, scale = RNG.integers(0, 16, (16, 64)), (torch.rand(16, 4) * 100).to(torch.float8_e4m3fn)
    factor = torch.tensor([0.25 if layout == "modelopt" else 4.0])  # a power of two: exact
    wanted = E2M1[codes] * scale.double().repeat_interleave(16, 1).numpy() * 0.25
    names = ("weight", "weight_scale_2") if layout == "modelopt" else ("weight_packed", "weight_global_scale")
    tensors = {f"m.{names[0]}": nibbles(codes), "m.weight_scale": scale, f"m.{names[1]}": factor}
    assert_read(tmp_path, tensors, {"m": wanted})


def groups(bits: int, symmetric: bool) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group", "group_size": 32}
    return {"quantization_config": {"format": "pack-quantized", "config_groups": {"group_0": {"weights": weights}}}}


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
def test_pack_quantized(tmp_path: Path, bits: int, symmetric: bool, ordered: bool) -> None:
    half = 1 << (bits - 1)
    codes, zero = RNG.integers(0, 2 * half, (24, 96)), RNG.integers(0, 2 * half, (24, 3))
    scale = RNG.uniform(0.5, 1, (24, 3)).astype(np.float16)
    order = RNG.permutation(np.arange(96) // 32) if ordered else np.arange(96) // 32
    tensors: dict[str, Any] = {
        "m.weight_packed": stream(codes, bits),
        "m.weight_scale": scale,
        "m.weight_shape": np.array([24, 96]),
    }
    if not symmetric:
        tensors["m.weight_zero_point"] = stream(zero.T, bits).T.copy()
    if ordered:
        tensors["m.weight_g_idx"] = order.astype(np.int32)
    shifted = codes - (half if symmetric else zero[:, order])
    assert_read(tmp_path, tensors, {"m": shifted * scale.astype(float)[:, order]}, groups(bits, symmetric))


@pytest.mark.parametrize("config", [{}, groups(5, True), groups(4, False)])
def test_packed_integers_without_their_bits_are_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    words, shape = np.zeros((24, 12), np.int32), np.array([24, 96])
    tensors = {"m.weight_packed": words, "m.weight_scale": np.ones((24, 3), "f2"), "m.weight_shape": shape}
    found, skips = opened(tmp_path, tensors, config)
    assert found == {}
    reasons = [str(skips[name].reason) for name in tensors]
    assert reasons == ["unsupported_quantisation", "quantisation_part", "quantisation_part"]


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_mlx(tmp_path: Path, bits: int) -> None:
    codes = RNG.integers(0, 1 << bits, (16, 128))
    scale, bias = (RNG.uniform(0.5, 1, (16, 2)).astype(np.float16) for _ in range(2))
    wanted = codes * np.repeat(scale.astype(float), 64, axis=1) + np.repeat(bias.astype(float), 64, axis=1)
    tensors = {"m.weight": uints(stream(codes, bits)), "m.scales": scale, "m.biases": bias}
    own = {"quantization": {"group_size": 32, "bits": 4, "m": {"group_size": 64, "bits": bits}}}
    assert_read(tmp_path, tensors, {"m": wanted}, own, 1e-6)
    found, skips = opened(tmp_path / "unknown", tensors)
    assert found == {}
    assert skips["m.scales"].reason == "quantisation_part"


def test_a_stack_of_experts_is_computed_expert_by_expert(tmp_path: Path) -> None:
    codes, scale = (torch.randn(3, 16, 64) * 20).to(torch.float8_e4m3fn), torch.rand(3, 1, 1)
    values = (codes.float() * scale).numpy()
    tensors = {"e.experts.down_proj": codes, "e.experts.down_proj_scale_inv": scale}
    assert_read(tmp_path, tensors, {f"e.experts.down_proj.{expert}": values[expert] for expert in range(3)})


@pytest.mark.parametrize(
    ("tensors", "what"),
    [
        ({"m.q_weight": "i4", "m.q_scale": "i4", "m.q_scale_max": "f2", "m.q_groups": "i2", "m.q_perm": "i2"}, "EXL2"),
        ({"m.trellis": "i2", "m.suh": "f2", "m.svh": "f2", "m.mcg": "i4"}, "EXL3"),
        ({"m.B": "i4", "m.s": "f2", "m.workspace": "i4"}, "Marlin"),
        (
            {"m.indices": "i4", "m.centroids.weight": "f2", "m.weight_scale": "f2"},
            "VPTQ",
        ),
        ({"m.qweight": "i4", "m.qzeros": "i4", "m.scales": "f2"}, "do not fit together"),
        ({"m.weight": "u1", "m.weight_scale": "f4"}, "without a known scale"),
        ({"m.weight": "i1", "m.weight_scales": "f2"}, "without a known scale"),
    ],
)
def test_companions_go_with_what_is_refused(tmp_path: Path, tensors: dict[str, str], what: str) -> None:
    made = {name: np.ones((20, 28), kind) for name, kind in tensors.items()}
    found, skips = opened(tmp_path, {**made, "m.bias": np.ones(20, "f4"), "n.weight": RNG.normal(size=(4, 5))})
    assert set(found) == {"n"}
    main, *others = tensors
    assert (skips[main].reason, skips[main].failed) == ("unsupported_quantisation", True)
    assert what in skips[main].detail
    assert {str(skips[name].reason) for name in others} == {"quantisation_part"}
    assert skips["m.bias"].reason == "vector"


@pytest.mark.parametrize("bits", [8, 4, 3, 2, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_hqq(tmp_path: Path, bits: int, axis: int) -> None:
    count = 10 if bits == 3 else 8 // bits
    rows = 120 * 256 // 64
    codes = RNG.integers(0, 1 << bits, (rows, 64))
    scale, zero = (RNG.uniform(0.5, 1, (rows, 1) if axis else (1, 64)).astype(np.float32) for _ in range(2))
    padded = np.concatenate([codes, np.zeros((-rows % count, 64), int)])
    chunks = padded.reshape(count, -1, 64)
    words = sum(chunk << (bits * (count - 1 - place)) for place, chunk in enumerate(chunks))
    tensors = {
        "m.W_q": np.asarray(words).astype(np.int32 if bits == 3 else np.uint8),
        "m.scale": scale,
        "m.zero": zero,
        "m.shape": np.array([120, 256]),
        "m.nbits": np.int32(bits),
    }
    assert_read(tmp_path, tensors, {"m": ((codes - zero.astype(float)) * scale).reshape(120, 256)}, rtol=1e-5)


def test_aqlm(tmp_path: Path) -> None:
    codes, books = RNG.integers(0, 256, (8, 16, 2)), RNG.normal(size=(2, 256, 2, 4)).astype(np.float16)
    scales = RNG.uniform(0.5, 1, (8, 1, 1, 1)).astype(np.float16)
    wanted = np.zeros((16, 64))
    for o in range(8):
        for i in range(16):
            block = sum(books[c, codes[o, i, c]].astype(float) for c in range(2)) * float(scales[o, 0, 0, 0])
            wanted[2 * o : 2 * o + 2, 4 * i : 4 * i + 4] = block
    tensors = {"m.codes": codes.astype(np.uint8).view(np.int8), "m.codebooks": books, "m.scales": scales}
    found, _ = opened(tmp_path, tensors)
    np.testing.assert_allclose(read_layer(found["m"]), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["qint8", "qint4", "qint2", "qfloat8"])
def test_as_quanto(tmp_path: Path, kind: str) -> None:
    quanto = pytest.importorskip("optimum.quanto")
    net = torch.nn.Sequential(torch.nn.Linear(256, 128))
    quanto.quantize(net, weights=getattr(quanto, kind))
    quanto.freeze(net)
    assert_read(tmp_path, net.state_dict(), {"0": net[0].weight.dequantize().detach()})


@pytest.mark.filterwarnings("ignore")
def test_as_compressed_tensors(tmp_path: Path) -> None:
    quantization = pytest.importorskip("compressed_tensors.quantization")
    from compressed_tensors.compressors.base import BaseCompressor

    args = {"num_bits": 3, "type": "int", "symmetric": True, "strategy": "channel"}
    scheme = quantization.QuantizationScheme(targets=["Linear"], weights=quantization.QuantizationArgs(**args))
    compressor = BaseCompressor.get_value_from_registry("pack-quantized")
    weight = torch.randn(32, 100)
    stored = compressor.compress({"weight": weight, "weight_scale": weight.abs().amax(1, keepdim=True) / 4}, scheme)
    wanted = compressor.decompress(dict(stored), scheme)["weight"]
    config = {"quantization_config": {"config_groups": {"group_0": {"weights": args}}}}
    assert_read(tmp_path, {f"m.{name}": value for name, value in stored.items()}, {"m": wanted}, config)


@pytest.mark.filterwarnings("ignore")
def test_as_torchao(tmp_path: Path) -> None:
    support = pytest.importorskip("torchao.prototype.safetensors.safetensors_support")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    net = torch.nn.Sequential(torch.nn.Linear(256, 128))
    quantize_(net, Int8WeightOnlyConfig())
    tensors, metadata = support.flatten_tensor_state_dict(net.state_dict())
    assert_read(tmp_path, tensors, {"0": net[0].weight.dequantize()}, metadata=metadata)
