"""Reparametrised weights as torch writes them: what is read must be the weight that the layer computes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from tests.zoo.layers.opened import opened_path
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.values import read_layer


def assert_read(folder: Path, state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor], rtol: float = 1e-6) -> None:
    """These layers and no others, with these values."""
    torch.save(dict(state), folder / "x.pt")
    found, skips = opened_path(folder / "x.pt")
    assert set(found) == set(wanted)
    for name, weight in wanted.items():
        expected = weight.detach().double().numpy()
        np.testing.assert_allclose(read_layer(found[name]), expected, rtol=0, atol=rtol * np.abs(expected).max())
    assert {skip.reason for skip in skips.values()} <= {"buffer", "vector"}
    assert not any(skip.failed for skip in skips.values())


def test_pruned(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(60, 40), nn.Conv2d(8, 16, 3), nn.ConvTranspose2d(8, 16, 3))
    for layer in net:
        prune.ln_structured(layer, "weight", 0.3, n=2, dim=0)
        prune.l1_unstructured(layer, "weight", 0.5)
    prune.l1_unstructured(net[0], "bias", 0.5)
    assert_read(tmp_path, net.state_dict(), {name: net[int(name)].weight for name in "012"}, 0)


def test_pruned_gates(tmp_path: Path) -> None:
    net = nn.LSTM(24, 16)
    prune.l1_unstructured(net, "weight_hh_l0", 0.5)
    gates = ("input_gate", "forget_gate", "cell_gate", "output_gate")
    wanted = {
        f"{name}.{gate}": getattr(net, name)[16 * i : 16 * i + 16]
        for name in ("weight_hh_l0", "weight_ih_l0")
        for i, gate in enumerate(gates)
    }
    assert_read(tmp_path, net.state_dict(), wanted, 0)


@pytest.mark.parametrize("name", ["mask", "weight_mask"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_a_mask_beside_its_weight(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    """Masked autoencoders and PixelCNN keep 'mask', nni 'weight_mask'; both multiply with it."""
    weight, mask = torch.randn(20, 30), torch.tril(torch.ones(20, 30))
    assert_read(tmp_path, {"l.weight": weight, f"l.{name}": mask.to(dtype)}, {"l": weight * mask}, 0)


def test_masks_that_are_not_of_zeros_and_ones_are_refused(tmp_path: Path) -> None:
    torch.save({"l.weight": torch.randn(20, 30), "l.weight_mask": torch.rand(20, 30)}, tmp_path / "x.pt")
    found, _ = opened_path(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="unsupported_parametrization"):
        read_layer(found["l"])


def normed(make: Callable[..., nn.Module], layer: nn.Module, **options: Any) -> nn.Module:
    """A layer with gains that are not its norms."""
    module = make(layer, **options)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("_g", "original0")):
                parameter.mul_(torch.rand_like(parameter) + 0.5)
    for hook in module._forward_pre_hooks.values():  # the older spelling computes the weight when it is called
        hook(module, (None,))
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [weight_norm, parametrizations.weight_norm], ids=["old", "new"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_weight_norm(tmp_path: Path, make: Callable[..., nn.Module], dim: int) -> None:
    layers = [nn.Conv1d(8, 16, 3), nn.ConvTranspose1d(8, 16, 5)] + ([nn.Linear(60, 40)] if dim < 2 else [])
    net = nn.Sequential(*(normed(make, layer, dim=dim) for layer in layers))
    assert_read(tmp_path, net.state_dict(), {str(i): layer.weight for i, layer in enumerate(net)})


@pytest.mark.filterwarnings("ignore")
def test_weight_norm_over_everything(tmp_path: Path) -> None:
    net = nn.Sequential(normed(weight_norm, nn.Linear(60, 40), dim=None))
    assert_read(tmp_path, net.state_dict(), {"0": net[0].weight})


LAYERS = {
    "linear": (lambda: nn.Linear(64, 32), (4, 64)),
    "square": (lambda: nn.Linear(32, 32), (4, 32)),
    "conv": (lambda: nn.Conv2d(8, 16, 3), (2, 8, 9, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(8, 16, 3), (2, 8, 5, 5)),
    "square transposed": (lambda: nn.ConvTranspose2d(8, 8, 3), (2, 8, 5, 5)),
}


@pytest.mark.parametrize("make", [spectral_norm, parametrizations.spectral_norm], ids=["old", "new"])
@pytest.mark.parametrize("kind", LAYERS)
def test_spectral_norm(tmp_path: Path, make: Callable[..., nn.Module], kind: str) -> None:
    layer, shape = LAYERS[kind]
    net = nn.Sequential(make(layer()))
    for _ in range(5):
        net(torch.randn(shape))
    net.eval()
    net(torch.randn(shape))
    assert_read(tmp_path, net.state_dict(), {"0": net[0].weight})


def test_spectral_norm_of_biggan(tmp_path: Path) -> None:
    weight, u = torch.randn(24, 8, 3, 3), torch.randn(1, 24)
    matrix = weight.reshape(24, -1)
    v = nn.functional.normalize(u @ matrix)
    sigma = v @ matrix.T @ nn.functional.normalize(v @ matrix.T).T
    assert_read(tmp_path, {"c.weight": weight, "c.u0": u, "c.sv0": torch.ones(1)}, {"c": weight / sigma.squeeze()})


class Symmetric(nn.Module):
    def forward(self, upper: torch.Tensor) -> torch.Tensor:
        return upper.triu() + upper.triu(1).T


def symmetric() -> nn.Module:
    layer = nn.Linear(32, 32)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


@pytest.mark.parametrize(
    "make",
    [
        symmetric,
        lambda: parametrizations.orthogonal(nn.Linear(32, 32)),
        lambda: parametrizations.orthogonal(nn.Linear(64, 32)),
        lambda: parametrizations.orthogonal(nn.Linear(32, 32), use_trivialization=False),
    ],
)
def test_functions_that_the_file_does_not_name_are_refused(tmp_path: Path, make: Callable[[], nn.Module]) -> None:
    torch.save(nn.Sequential(make()).state_dict(), tmp_path / "x.pt")
    found, skips = opened_path(tmp_path / "x.pt")
    skip = skips["0.parametrizations.weight.original"]
    assert found == {}
    assert (skip.reason, skip.failed) == ("unsupported_parametrization", True)


@pytest.mark.parametrize(
    "state",
    [
        {"a.weight_orig": torch.randn(20, 30)},
        {"a.weight_v": torch.randn(20, 30)},
        {"a.weight": torch.randn(20, 30), "a.scores": torch.randn(20, 30)},
        {
            "a.parametrizations.weight.original": torch.randn(9, 9),
            "a.parametrizations.weight.0.lora_A": torch.randn(2, 9),
        },
    ],
)
def test_factors_whose_rule_is_missing_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, tmp_path / "x.pt")
    found, skips = opened_path(tmp_path / "x.pt")
    assert found == {}
    assert "unsupported_parametrization" in {skip.reason for skip in skips.values() if skip.failed}
