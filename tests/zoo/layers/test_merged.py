"""An adapter with its base: the weights that PEFT itself makes when it merges the two, layer by layer.

Adapters are trained nowhere: their factors are random, written by PEFT and merged by PEFT.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

pytestmark = pytest.mark.filterwarnings("ignore")


class Block(torch.nn.Module):
    """A few layers of the kinds that adapters change."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(40, 16)
        self.proj = torch.nn.Linear(24, 16)
        self.square = torch.nn.Linear(16, 16, bias=False)
        self.conv = torch.nn.Conv2d(8, 12, 3)
        self.left = torch.nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Net(torch.nn.Module):
    """Modules in modules, as a published model has them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Block()
        self.head = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def pair(folder: Path, settings: Any, net: torch.nn.Module | None = None) -> tuple[Path, Path, dict[str, Any]]:
    """Base file, adapter folder, and the merged state dict, made by PEFT."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base = Net() if net is None else net
    folder.mkdir(exist_ok=True)
    save_file({n: v.clone().contiguous() for n, v in base.state_dict().items()}, folder / "base.safetensors")
    model = peft.get_peft_model(copy.deepcopy(base), settings)
    for name, parameter in model.named_parameters():
        if any(word in name for word in ("lora_", "hada_", "lokr_", "ia3_", "vera_", "oft_", "boft_")):
            torch.nn.init.normal_(parameter, mean=0.0 if parameter.ndim > 1 else 1.0, std=0.3)
    model.save_pretrained(folder / "adapter")
    return folder / "base.safetensors", folder / "adapter", model.merge_and_unload().state_dict()


def both(adapter: Path, base: Path) -> tuple[dict[str, Layer], dict[str, Layer], list[Any]]:
    """Layers by name of the merged weights and of the base's, and the failures."""
    opened = [open_checkpoint(f"{adapter}#{side}={base}") for side in ("merged", "base")]
    made = [layers(checkpoint.tensors, checkpoint.config) for checkpoint in opened]
    failed = [skip for checkpoint in opened[:1] for skip in checkpoint.skips if skip.failed]
    failed += [skip for skip in made[0][1] if skip.failed]
    merged, plain = ({layer.longname: layer for layer in found} for found, _ in made)
    return merged, plain, failed


def assert_merged(folder: Path, settings: Any, names: tuple[str, ...], net: torch.nn.Module | None = None) -> None:
    base, adapter, wanted = pair(folder, settings, net)
    merged, plain, failed = both(adapter, base)
    assert failed == []
    assert set(merged) == set(plain) == set(names)
    state = open_checkpoint(str(base))
    own = {layer.longname: layer for layer in layers(state.tensors, state.config)[0]}
    for name in names:
        expected = wanted[f"{name}.weight"].double().numpy()
        values = read_layer(merged[name])
        np.testing.assert_allclose(values, expected, rtol=2e-5, atol=2e-5)
        assert np.abs(values - read_layer(plain[name])).max() > 0.01, "the adapter changes it"
        flat, other = values.reshape(len(values), -1), expected.reshape(len(expected), -1)
        np.testing.assert_allclose(
            np.linalg.svd(flat.astype(float), compute_uv=False), np.linalg.svd(other, compute_uv=False), atol=1e-4
        )
        assert merged[name].layer_type == own[name].layer_type
        assert layer_hash(plain[name]) == layer_hash(own[name]) != layer_hash(merged[name])


ALL = ("model.embed", "model.proj", "model.square", "model.conv")
TARGETS = ["embed", "proj", "square", "conv"]


@pytest.mark.parametrize(
    "extra",
    [{}, {"use_rslora": True, "alpha_pattern": {"proj": 5}}, {"use_dora": True}],
    ids=["lora", "rslora", "dora"],
)
def test_low_rank_updates(tmp_path: Path, extra: dict[str, Any]) -> None:
    peft = pytest.importorskip("peft")
    assert_merged(tmp_path, peft.LoraConfig(r=3, lora_alpha=9, target_modules=TARGETS, **extra), ALL)


@pytest.mark.parametrize("kind", ["LoHaConfig", "LoKrConfig"])
def test_products_of_lycoris(tmp_path: Path, kind: str) -> None:
    peft = pytest.importorskip("peft")
    settings = getattr(peft, kind)(r=3, alpha=5, target_modules=["proj", "square", "conv"])
    assert_merged(tmp_path, settings, ALL[1:])


def test_ia3(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    settings = peft.IA3Config(target_modules=["proj", "square", "conv", "left"], feedforward_modules=["square", "left"])
    assert_merged(tmp_path, settings, (*ALL[1:], "model.left"))
    feed = peft.IA3Config(target_modules=["conv"], feedforward_modules=["conv"])
    assert_merged(tmp_path / "conv", feed, ("model.conv",))


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_fused_matrices_that_lie_transposed(tmp_path: Path, kind: str) -> None:
    """GPT-2: c_attn holds q, k, v side by side as (in, out), and c_proj is square."""
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50, n_positions=16)
    net = transformers.GPT2LMHeadModel(config)
    if kind == "ia3":
        settings = peft.IA3Config(target_modules=["c_attn"], feedforward_modules=[])
    else:
        settings = peft.LoraConfig(r=4, target_modules=["c_attn", "attn.c_proj"], use_dora=kind == "dora")
    peft_model = peft.get_peft_model(copy.deepcopy(net), settings)
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name or "ia3_" in name:
            torch.nn.init.normal_(parameter, mean=0.0 if parameter.ndim > 1 else 1.0)
    net.transformer.save_pretrained(tmp_path / "base")  # names without 'transformer.', as the published file has them
    peft_model.save_pretrained(tmp_path / "adapter")
    wanted = peft_model.merge_and_unload().state_dict()
    merged, plain, failed = both(tmp_path / "adapter", tmp_path / "base")
    assert failed == []
    fused = wanted["transformer.h.0.attn.c_attn.weight"].numpy()
    assert set(merged) == set(plain) >= {"h.0.attn.c_attn.q", "h.0.attn.c_attn.k", "h.0.attn.c_attn.v"}
    for place, part in enumerate("qkv"):
        values = read_layer(merged[f"h.0.attn.c_attn.{part}"])
        expected = np.linalg.svd(fused[:, 32 * place : 32 * (place + 1)].astype(float), compute_uv=False)
        np.testing.assert_allclose(np.linalg.svd(values.astype(float), compute_uv=False), expected, atol=1e-4)
    if kind != "ia3":
        square = wanted["transformer.h.0.attn.c_proj.weight"].numpy()
        np.testing.assert_allclose(np.abs(read_layer(merged["h.0.attn.c_proj"])).sum(), np.abs(square).sum(), rtol=1e-4)
        expected = np.linalg.svd(square.astype(float), compute_uv=False)
        values = np.linalg.svd(read_layer(merged["h.0.attn.c_proj"]).astype(float), compute_uv=False)
        np.testing.assert_allclose(values, expected, atol=1e-4)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"block_share": True},
        {"use_cayley_neumann": False},
        {"num_cayley_neumann_terms": 2},
        {"num_cayley_neumann_terms": 3},
        {"num_cayley_neumann_terms": 4},
    ],
)
def test_oft(tmp_path: Path, extra: dict[str, Any]) -> None:
    peft = pytest.importorskip("peft", minversion="0.18")
    settings = peft.OFTConfig(r=0, oft_block_size=4, target_modules=["proj", "square", "conv"], **extra)
    assert_merged(tmp_path, settings, ALL[1:])


@pytest.mark.parametrize("saved", [True, False])
def test_vera(tmp_path: Path, saved: bool) -> None:
    """Layers of different sizes share A and B; without them in the file they are drawn from the seed as PEFT does."""
    peft = pytest.importorskip("peft")
    names = ["proj", "square", "left"]
    settings = peft.VeraConfig(r=5, projection_prng_key=3, save_projection=saved, target_modules=names)
    assert_merged(tmp_path, settings, tuple(f"model.{name}" for name in names))


@pytest.mark.parametrize("kind", ["BOFTConfig", "HRAConfig", "constrained", "experts"])
def test_what_is_not_computed_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    peft = pytest.importorskip("peft")
    if kind == "constrained":
        settings = peft.OFTConfig(r=0, oft_block_size=4, coft=True, target_modules=["proj"])
    elif kind == "experts":
        settings = peft.LoraConfig(r=2, target_modules=[], target_parameters=["model.left.weight"])
    elif kind == "BOFTConfig":
        settings = peft.BOFTConfig(boft_block_size=4, target_modules=["proj"])
    else:
        settings = peft.HRAConfig(r=4, target_modules=["proj"])
    base, adapter, _ = pair(tmp_path, settings)
    merged, plain, failed = both(adapter, base)
    if kind == "experts":  # a parameter that is no stack is one matrix, and merged
        assert set(merged) == set(plain) == {"model.left"}
    else:
        assert merged == plain == {}
        assert any("proj" in f"{skip.tensor} {skip.detail}" for skip in failed)


def test_a_base_that_does_not_fit(tmp_path: Path) -> None:
    """Every update is a failure that names the adapter's module and the base, and nothing is analysed instead."""
    peft = pytest.importorskip("peft")
    _, adapter, _ = pair(tmp_path, peft.LoraConfig(r=3, target_modules=["proj", "square"]))
    wrong = tmp_path / "wrong.safetensors"
    save_file({"model.proj.weight": torch.randn(16, 25), "model.other.weight": torch.randn(16, 16)}, wrong)
    merged, plain, failed = both(adapter, wrong)
    assert merged == plain == {}
    details = sorted(skip.detail for skip in failed)
    assert all("wrong.safetensors" in detail for detail in details)
    assert ["16x25" in detail and "16x24" in detail for detail in details] == [True, False]
    assert "model.square is not in the base" in details[1]


def test_a_base_that_cannot_be_opened(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    _, adapter, _ = pair(tmp_path, peft.LoraConfig(r=3, target_modules=["proj"]))
    with pytest.raises(CheckpointError, match=r"the base .*gone"):
        open_checkpoint(f"{adapter}#merged={tmp_path / 'gone.safetensors'}")


def test_the_hash_is_that_of_everything_that_decides_the_values(tmp_path: Path) -> None:
    """Base, factors and scale: another one of each is another hash, a copy elsewhere is the same."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=3, lora_alpha=9, target_modules=["proj"])
    base, adapter, _ = pair(tmp_path / "a", config)
    again, _, _ = pair(tmp_path / "b", config)
    _, louder, _ = pair(tmp_path / "c", peft.LoraConfig(r=3, lora_alpha=10, target_modules=["proj"]))
    other = tmp_path / "other.safetensors"
    save_file({"model.proj.weight": torch.randn(16, 24), "x.weight": torch.randn(4, 4)}, other)
    keys = [
        layer_hash(both(a, b)[0]["model.proj"])
        for a, b in ((adapter, base), (adapter, again), (louder, base), (adapter, other))
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
