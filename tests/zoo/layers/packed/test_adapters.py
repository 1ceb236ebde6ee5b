"""Low-rank updates in every trainer's names: the scaled product, one an expert, with what is not known about it.

Factors are made here and multiplied by numpy; the last tests compare with PEFT and LyCORIS where they are installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.zoo.layers.opened import opened, opened_path
from zoospectra.zoo.layers.packed.adapters.scale import is_harmless, scale
from zoospectra.zoo.layers.values import layer_hash, read_factors, read_layer

RNG = np.random.default_rng(0)
UPDATE = "base_model.model."
ADAPTER = "adapter_model.safetensors"


def random(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def assert_updates(path: Path, wanted: Mapping[str, Any], note: str | None = None) -> None:
    """These layers and no others, of type 'lora', with these values; thin factors give the same."""
    found, skips = opened_path(path)
    assert set(found) == set(wanted)
    for name, product in wanted.items():
        layer, values = found[name], np.asarray(product, dtype=float)
        np.testing.assert_allclose(read_layer(layer), values, rtol=1e-5, atol=1e-5 * np.abs(values).max())
        assert (layer.layer_type, layer.shape) == ("lora", values.shape)
        assert (layer.note is None) if note is None else (note in (layer.note or ""))
        two = read_factors(layer)
        if two is not None:
            assert two[0].shape[1] == two[1].shape[0] <= min(values.shape)
            np.testing.assert_allclose(two[0] @ two[1], read_layer(layer), rtol=1e-9, atol=1e-9)
    assert not any(skip.failed for skip in skips.values())
    assert len({layer_hash(layer) for layer in found.values()}) == len(found)


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"lora_alpha": 16}, 4.0),
        ({"lora_alpha": 16, "use_rslora": True}, 8.0),
        ({"lora_alpha": 16, "alpha_pattern": {r"layers\.0\..*q_proj": 64, "q_proj": 8}}, 16.0),
        ({"lora_alpha": 16, "alpha_pattern": {r"layers\.1\..*q_proj": 64, "q_proj": 8}}, 2.0),
        ({"lora_alpha": 16, "alpha_pattern": {"proj": 64, "^layers.0.q_proj": 32}}, 8.0),
        ({"lora_alpha": 16, "alpha_pattern": {"layers.0.[qk]_proj": 2}}, 0.5),
        ({"lora_alpha": 8, "peft_type": "ADALORA"}, 8 / 4.00001),
    ],
)
def test_scales_of_peft(settings: dict[str, Any], factor: float) -> None:
    assert scale("layers.0.q_proj", 4, {"adapter": settings}).value == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(x*)*", r"(.*)\1", ".*.*.*.*z", "a" * 300, "(?P<n>a)(?P=n)", "(", "(a|b){9}"]
)
def test_patterns_that_could_take_for_ever_are_not_tried(pattern: str) -> None:
    assert not is_harmless(pattern)
    known = scale("layers.0.q_proj", 4, {"adapter": {"lora_alpha": 16, "alpha_pattern": {pattern: 1}}})
    assert "scale unknown" in known.note


@pytest.mark.parametrize("rank", [2, 4])
def test_experts_of_peft_are_one_update_each(tmp_path: Path, rank: int) -> None:
    """lora_A (E r, in) is expert by expert, lora_B (out, r E) expert last: peft/tuners/lora/layer.py."""
    down, up = random(3 * rank, 24), random(16, rank * 3)
    name = f"{UPDATE}layers.0.mlp.experts"
    config = {"r": 4, "lora_alpha": 8, "target_parameters": ["mlp.experts.down_proj"]}
    if rank == 2:
        config |= {"rank_pattern": {"experts.down_proj": 2}}
    opened(tmp_path, {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, config, weights=ADAPTER)
    products = np.einsum("ore,eri->eoi", up.reshape(16, rank, 3), down.reshape(3, rank, 24)) * 8 / rank
    assert_updates(tmp_path, {f"layers.0.mlp.experts.{expert}": products[expert] for expert in range(3)})


def test_an_embedding_lies_as_its_table(tmp_path: Path) -> None:
    a, b = random(4, 100), random(16, 4)
    tensors = {f"{UPDATE}wte.lora_embedding_A": a, f"{UPDATE}wte.lora_embedding_B": b}
    opened(tmp_path, tensors, {"lora_alpha": 4, "r": 4}, weights=ADAPTER)
    assert_updates(tmp_path, {"wte": (b @ a).T})


def test_adalora(tmp_path: Path) -> None:
    a, b, e = random(4, 24), random(16, 4), random(4, 1)
    tensors = {f"{UPDATE}q.lora_A": a, f"{UPDATE}q.lora_B": b, f"{UPDATE}q.lora_E": e}
    opened(tmp_path, tensors, {"peft_type": "ADALORA", "lora_alpha": 8}, weights=ADAPTER)
    assert_updates(tmp_path, {"q": b @ (a * e) * 8 / 4.00001})


def test_dora_says_that_it_needs_the_base(tmp_path: Path) -> None:
    a, b = random(4, 24), random(16, 4)
    tensors = {"q.lora_A.weight": a, "q.lora_B.weight": b, "q.lora_magnitude_vector": random(16)}
    opened(tmp_path, tensors, {"lora_alpha": 8, "use_dora": True}, weights=ADAPTER)
    assert_updates(tmp_path, {"q": b @ a * 2}, note="need the base")


def test_mlx(tmp_path: Path) -> None:
    """(in, r) and (r, out), experts (E, r, in) and (E, out, r); scale is not divided by the rank."""
    a, b, stack, outs = random(24, 4), random(4, 16), random(3, 4, 24), random(3, 16, 4)
    tensors = {"q.lora_a": a, "q.lora_b": b, "mlp.switch_mlp.up.lora_a": stack, "mlp.switch_mlp.up.lora_b": outs}
    config = {"fine_tune_type": "lora", "lora_parameters": {"rank": 4, "scale": 20.0, "dropout": 0.0}}
    opened(tmp_path, tensors, config, weights="adapters.safetensors")
    wanted = {"q": 20 * (a @ b).T} | {f"mlp.switch_mlp.up.{e}": 20 * outs[e] @ stack[e] for e in range(3)}
    assert_updates(tmp_path, wanted)
    assert_updates(tmp_path / "adapters.safetensors", wanted)


@pytest.mark.parametrize("alpha", [16.0, 0.0])
def test_gguf(tmp_path: Path, alpha: float) -> None:
    gguf = pytest.importorskip("gguf")
    a, b, stack, outs = random(4, 64), random(32, 4), random(3, 4, 64), random(3, 32, 4)
    writer = gguf.GGUFWriter(str(tmp_path / "a.gguf"), "llama")
    writer.add_string("general.type", "adapter")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, value in {"attn_q.weight.lora_a": a, "attn_q.weight.lora_b": b}.items():
        writer.add_tensor(f"blk.0.{name}", value)
    for name, value in {"ffn_up_exps.weight.lora_a": stack, "ffn_up_exps.weight.lora_b": outs}.items():
        writer.add_tensor(f"blk.0.{name}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    factor = alpha / 4 if alpha else 1.0  # llama.cpp: no alpha is no scale
    wanted = {f"blk.0.ffn_up_exps.{e}": factor * outs[e] @ stack[e] for e in range(3)}
    assert_updates(tmp_path / "a.gguf", wanted | {"blk.0.attn_q": factor * b @ a})


def saved(path: Path, tensors: Mapping[str, Any], metadata: dict[str, str] | None = None) -> Path:
    save_file({name: torch.tensor(value) for name, value in tensors.items()}, path, metadata)
    return path


def test_settings_of_diffusers_in_the_header(tmp_path: Path) -> None:
    a, b = random(4, 24), random(16, 4)
    settings = {"unet.r": 4, "unet.lora_alpha": 64, "unet.alpha_pattern": {"k": 8}, "text_encoder.lora_alpha": 2}
    names = ("unet.x.q.lora_A.weight", "unet.x.q.lora_B.weight", "unet.x.k.lora.down.weight", "unet.x.k.lora.up.weight")
    encoder = ("text_encoder.q.lora_linear_layer.down.weight", "text_encoder.q.lora_linear_layer.up.weight")
    tensors = dict(zip(names + encoder, (a, b) * 3, strict=True))
    path = saved(tmp_path / "x.safetensors", tensors, {"lora_adapter_metadata": json.dumps(settings)})
    assert_updates(path, {"unet.x.q": 16 * b @ a, "unet.x.k": 2 * b @ a, "text_encoder.q": 0.5 * b @ a})


@pytest.mark.parametrize("text", ["{", "[" * 5000, "3", '{"lora_alpha": "much"}', '{"unet.lora_alpha": NaN}'])
def test_a_header_that_says_nothing_useful(tmp_path: Path, text: str) -> None:
    a, b = random(4, 24), random(16, 4)
    tensors = {"unet.q.lora_A.weight": a, "unet.q.lora_B.weight": b}
    path = saved(tmp_path / "x.safetensors", tensors, {"lora_adapter_metadata": text})
    assert_updates(path, {"unet.q": b @ a}, note="scale unknown")


def test_kohya(tmp_path: Path) -> None:
    a, b = random(4, 24), random(16, 4)
    pair = {"lora_unet_q.lora_down.weight": a, "lora_unet_q.lora_up.weight": b}
    stated = {"ss_network_alpha": "2.0", "ss_network_dim": "4"}
    assert_updates(saved(tmp_path / "a.safetensors", pair, stated), {"lora_unet_q": 0.5 * b @ a})
    with_alpha = {**pair, "lora_unet_q.alpha": np.float32(8)}
    assert_updates(saved(tmp_path / "b.safetensors", with_alpha, stated), {"lora_unet_q": 2 * b @ a})
    assert_updates(saved(tmp_path / "c.safetensors", pair), {"lora_unet_q": b @ a}, note="scale unknown")


def test_two_updates_of_one_module(tmp_path: Path) -> None:
    a, b = random(4, 24), random(16, 4)
    numbers = {f"m.qkv_lora{n}.{end}.weight": value for n in (1, 2) for end, value in (("down", a), ("up", n * b))}
    path = saved(tmp_path / "x.safetensors", numbers)
    assert_updates(path, {"m.qkv.1": b @ a, "m.qkv.2": 2 * b @ a}, note="scale unknown")


def test_the_first_trainers_list(tmp_path: Path) -> None:
    shapes = ((64, 48), (64, 64), (80, 32))
    tensors, wanted = [], {}
    for number, (out, inputs) in enumerate(shapes):
        up, down = torch.randn(out, 4).half(), torch.randn(4, inputs).half()
        tensors += [up, down]
        wanted[str(2 * number)] = up.double().numpy() @ down.double().numpy()
    torch.save(tensors, tmp_path / "lora.pt")
    assert_updates(tmp_path / "lora.pt", wanted)


def test_other_lists_are_no_updates(tmp_path: Path) -> None:
    torch.save([torch.randn(78, 32), torch.randn(32, 8), torch.randn(8, 32), torch.randn(32, 78)], tmp_path / "net.pt")
    found, _ = opened_path(tmp_path / "net.pt")
    assert [layer.layer_type for layer in found.values()] == ["dense"] * 4


@pytest.mark.parametrize("core", [False, True])
def test_loha(tmp_path: Path, core: bool) -> None:
    """lycoris/functional/loha.py: the product of two products, element by element; with cores for convolutions."""
    if core:
        t, a, b = ([random(*shape) for _ in range(2)] for shape in ((2, 2, 3, 3), (2, 16), (2, 8)))
        one, two = (np.einsum("ijkl,jr,ip->prkl", t[i], b[i], a[i]) for i in range(2))
        tensors = {
            f"x.hada_{n}{i + 1}{e}": v[i] for n, e, v in (("t", "", t), ("w", "_a", a), ("w", "_b", b)) for i in (0, 1)
        }
    else:
        a, b = ([random(*shape) for _ in range(2)] for shape in ((16, 2), (2, 24)))
        one, two = (a[i] @ b[i] for i in range(2))
        tensors = {f"x.hada_w{i + 1}_{e}": v[i] for e, v in (("a", a), ("b", b)) for i in (0, 1)}
    path = saved(tmp_path / "x.safetensors", {**tensors, "x.alpha": np.float32(1)})
    assert_updates(path, {"x": 0.5 * (one * two).reshape(16, -1)})


@pytest.mark.parametrize("first", ["whole", "factors"])
@pytest.mark.parametrize("second", ["whole", "factors", "core"])
def test_lokr(tmp_path: Path, first: str, second: str) -> None:
    """lycoris/functional/lokr.py: the Kronecker product; 1 is the scale where both matrices are whole."""
    tensors: dict[str, Any] = {"x.alpha": np.float32(1)}
    if first == "whole":
        one = tensors["x.lokr_w1"] = random(4, 3)
    else:
        tensors["x.lokr_w1_a"], tensors["x.lokr_w1_b"] = random(4, 2), random(2, 3)
        one = tensors["x.lokr_w1_a"] @ tensors["x.lokr_w1_b"]
    if second == "whole":
        two = tensors["x.lokr_w2"] = random(6, 5)
    elif second == "factors":
        tensors["x.lokr_w2_a"], tensors["x.lokr_w2_b"] = random(6, 2), random(2, 5)
        two = tensors["x.lokr_w2_a"] @ tensors["x.lokr_w2_b"]
    else:
        t, a, b = random(2, 2, 3, 3), random(2, 6), random(2, 5)
        tensors |= {"x.lokr_t2": t, "x.lokr_w2_a": a, "x.lokr_w2_b": b}
        two = np.einsum("ijkl,ip,jr->prkl", t, a, b)
    wanted = np.kron(one.reshape(4, 3, *[1] * (two.ndim - 2)), two).reshape(24, -1)
    factor = 1.0 if first == second == "whole" else 0.5
    assert_updates(saved(tmp_path / "x.safetensors", tensors), {"x": factor * wanted})


def test_a_convolutions_core(tmp_path: Path) -> None:
    up, mid, down = random(16, 2, 1, 1), random(2, 2, 3, 3), random(2, 8, 1, 1)
    tensors = {"x.lora_up.weight": up, "x.lora_mid.weight": mid, "x.lora_down.weight": down, "x.alpha": np.float32(1)}
    wanted = np.einsum("oi,ijkl,jp->opkl", up[..., 0, 0], mid, down[..., 0, 0]).reshape(16, -1)
    assert_updates(saved(tmp_path / "x.safetensors", tensors), {"x": 0.5 * wanted})


@pytest.mark.parametrize(
    ("kind", "name"), [("OFT", "q.oft_R.weight"), ("VERA", "vera_A"), ("NEWKIND", "q.thing"), ("HRA", "q.hra_u")]
)
def test_what_needs_its_base_is_refused_by_name(tmp_path: Path, kind: str, name: str) -> None:
    tensors = {UPDATE + name: random(16, 24), f"{UPDATE}score.weight": random(3, 16)}
    config = {"peft_type": kind, "modules_to_save": ["score"]}
    found, skips = opened(tmp_path, tensors, config, weights=ADAPTER)
    assert [layer.ref.name for layer in found.values()] == [f"{UPDATE}score.weight"]
    assert (skips[UPDATE + name].reason, skips[UPDATE + name].failed) == ("lora_factor", True)


@pytest.mark.parametrize(
    "shapes",
    [
        {"hada_w1_a": (70000, 1), "hada_w1_b": (1, 70000), "hada_w2_a": (70000, 1), "hada_w2_b": (1, 70000)},
        {"lokr_w1": (700, 700), "lokr_w2": (700, 700)},
        {"lora_a": (3000, 1, 700), "lora_b": (3000, 700, 1)},
    ],
)
def test_products_that_would_fill_the_memory_are_refused(tmp_path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    path = saved(
        tmp_path / "x.safetensors", {f"x.{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    )
    found, skips = opened_path(path)
    assert found == {}
    assert [skip.reason for skip in skips.values() if skip.failed] == ["too_large"]


def test_factors_that_are_not_thin_are_multiplied(tmp_path: Path) -> None:
    """r^2 = 81 is more than the smaller side: the eigenvalues are those of the product."""
    tensors = {f"x.hada_w{i}_{e}": random(*s) for i in (1, 2) for e, s in (("a", (32, 9)), ("b", (9, 24)))}
    (layer,) = opened_path(saved(tmp_path / "x.safetensors", tensors))[0].values()
    assert read_factors(layer) is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["LoraConfig", "LoHaConfig", "LoKrConfig"])
def test_as_peft(tmp_path: Path, kind: str) -> None:
    peft = pytest.importorskip("peft")
    net = torch.nn.Sequential(torch.nn.Linear(48, 64), torch.nn.Linear(64, 32))
    alpha = {"lora_alpha": 9} if kind == "LoraConfig" else {"alpha": 9}
    settings = {"rank_pattern": {"1": 2}, "alpha_pattern": {"[0]": 5}, "target_modules": ["0", "1"]}
    model = peft.get_peft_model(net, getattr(peft, kind)(r=3, **alpha, **settings))
    for name, parameter in model.named_parameters():
        if name.split(".")[-1].startswith(("hada", "lokr")) or any(w in name for w in ("lora_", "hada_", "lokr_")):
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path)
    modules = {n: m for n, m in model.named_modules() if hasattr(m, "get_delta_weight")}
    assert_updates(
        tmp_path, {n.removeprefix(UPDATE): m.get_delta_weight("default").detach() for n, m in modules.items()}
    )
