"""The published per-slice numbers of the distiller ResNet20s (figure 5 of the Nature Communications paper)."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from zoospectra.analysis.layer import LayerAnalysis, analyse_layer
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import unfold

CHECKPOINTS = (
    "checkpoint_trained_4D_regularized_5Lremoved.pth.tar",
    "checkpoint_trained_4D_regularized_5Lremoved_finetuned.pth.tar",
    "checkpoint_trained_ch_regularized_dense.pth.tar",
    "checkpoint_trained_dense.pth.tar",
)
COLUMNS = {
    "alpha": "alpha",
    "D": "D",
    "xmin": "xmin",
    "lambda_max": "spectral_norm",
    "frobenius": "norm",
    "log10_frobenius": "log_norm",
    "alpha_weighted": "alpha_weighted",
    "log10_lambda_max": "log_spectral_norm",
}


@pytest.fixture(scope="module")
def layers(shared, profile):
    """(checkpoint, layer, profile name) -> LayerAnalysis."""
    found: dict[tuple[str, str, str], LayerAnalysis] = {}
    for name in CHECKPOINTS:
        state = torch.load(shared / "zoo" / "distiller-resnet20" / name, map_location="cpu", weights_only=True)[
            "state_dict"
        ]
        for key, tensor in state.items():
            if tensor.ndim in (2, 4):
                layer_type = "conv2d" if tensor.ndim == 4 else "dense"
                raw = spectrum(unfold(tensor.numpy(), layer_type))
                for rule in ("ww012", "natcomm2021"):
                    found[name, key.replace("module.", ""), rule] = analyse_layer(raw, layer_type, profile(rule))
    return found


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row["checkpoint"] in CHECKPOINTS]


def test_every_slice(layers, shared) -> None:
    """The reference has eight digits: 1e-7 relative, and 1e-7 absolute for logarithms near 0."""
    fitted = 0
    for row in read(shared / "reference" / "distiller_resnet20_slices.csv"):
        analysis = layers[row["checkpoint"], row["layer"], "ww012"]
        mine = analysis.slices[int(row["slice_id"]) - 1]
        assert (mine["N"], mine["M"], len(analysis.slices)) == (int(row["N"]), int(row["M"]), int(row["n_slices"]))
        for theirs, name in COLUMNS.items():
            # The reference gives the Frobenius norm of small slices too, which the recipe does not.
            if row[theirs] and float(row["M"]) >= 50:
                assert mine[name] == pytest.approx(float(row[theirs]), rel=1e-7, abs=1e-7), (row["layer"], name)
        assert bool(row["alpha"]) == (mine["alpha"] is not None)
        if row["log10_lambda_max_ww027"]:
            later = layers[row["checkpoint"], row["layer"], "natcomm2021"].slices[int(row["slice_id"]) - 1]
            assert later["log_spectral_norm"] == pytest.approx(float(row["log10_lambda_max_ww027"]), abs=1e-7)
        fitted += bool(row["alpha"])
    assert fitted == 45 * len(CHECKPOINTS)


def test_the_printed_averages(layers, shared) -> None:
    """Means over all slices against what the paper's notebook printed: 7e-5, its randomised float32 SVD."""
    values = defaultdict(list)
    for (checkpoint, _, rule), analysis in layers.items():
        for row in analysis.slices if rule == "ww012" else ():
            for name in ("norm", "log_norm", "alpha", "alpha_weighted"):
                if row["M"] >= 50 and row[name] is not None:
                    values[checkpoint, name].append(row[name])
    checked = 0
    for row in read(shared / "reference" / "distiller_resnet20_summary.csv"):
        name, _, extreme = row["quantity"].partition("_m")
        series = values.get((row["checkpoint"], name if extreme in ("in", "ax") else row["quantity"]))
        if row["published"] and series:
            mine = {"in": min, "ax": max}.get(extreme, np.mean)(series)
            assert mine == pytest.approx(float(row["published"]), abs=7e-5), row["quantity"]
            checked += 1
    assert checked == 24
