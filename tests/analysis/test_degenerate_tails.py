"""Tails narrower than the stored type resolves: no exponent of 1e7 passes as a success, whatever made the spectrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.metrics.hill import METHOD as HILL
from zoospectra.analysis.powerlaw import RULES, Candidates
from zoospectra.analysis.records import Esd, Fit, Spectrum, Status
from zoospectra.analysis.rounding import resolution

NUMBERS = ("alpha", "D", "sigma", "xmin", "xmax", "num_pl_spikes", "alpha_weighted", "log_alpha_norm")
TYPES = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
EPS_TYPES = ["float32", "float16", "bfloat16"]


def stored(array: np.ndarray, dtype: str) -> np.ndarray:
    """Values of the array once it is stored as dtype."""
    carrier = torch.float64 if dtype == "float64" else torch.float32
    return torch.from_numpy(np.ascontiguousarray(array)).to(getattr(torch, dtype)).to(carrier).numpy()


def orthonormal(N: int, M: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((N, M)).astype(np.float32))[0]


def identity_convolution() -> np.ndarray:
    """torch's dirac_ with the noise of one float32 product: only the middle slice is not 0."""
    kernel = torch.nn.init.dirac_(torch.empty(64, 64, 3, 3)).numpy()
    kernel[:, :, 1, 1] = orthonormal(64, 64) @ orthonormal(64, 64).T
    return kernel


def rank_one_slices() -> np.ndarray:
    """64 kernel positions of rank 1 and norm 1 each, as support vectors in a kernel's layout leave them."""
    rng = np.random.default_rng(1)
    columns = rng.standard_normal((60, 64)).astype(np.float32)
    columns /= np.linalg.norm(columns, axis=0)
    kernel = np.zeros((60, 55, 8, 8), np.float32)
    kernel[:, 0] = columns.reshape(60, 8, 8)
    return kernel


LAYERS = {
    "orthonormal": ("dense", orthonormal(80, 60)),
    "wide": ("dense", orthonormal(300, 64).T),
    "scaled": ("dense", 20.0 * orthonormal(128, 128)),
    "identity convolution": ("conv2d", identity_convolution()),
    "rank-one slices": ("conv2d", rank_one_slices()),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_spectrum_of_equal_values_is_no_success(kind, dtype, analyse, any_profile) -> None:
    layer_type, array = LAYERS[kind]
    analysis = analyse(stored(array, dtype), layer_type, any_profile, dtype)
    for row in (analysis.layer, *analysis.slices):
        if row["degenerate_tail"] is None:
            assert row["status"].startswith(("failed: too few", "failed: every eigenvalue is zero"))
        elif row["outcome"] == "fit":
            assert any_profile.faithful
            assert row["degenerate_tail"]
        else:
            assert (row["status"], row["outcome"]) == ("degenerate_tail", "failed")
            assert {row.get(name) for name in (*NUMBERS, "warning")} == {None}
    if kind != "rank-one slices" or any_profile.pool:
        assert analysis.layer["degenerate_tail"]


def test_faithful_profiles_keep_the_number_beside_its_warning(analyse, profile) -> None:
    Q = orthonormal(80, 60)
    for name in ("weightwatcher", "natcomm2021", "natcomm2021_normalized", "ww012"):
        row = analyse(Q, "dense", profile(name)).layer
        assert (row["outcome"], row["status"], row["degenerate_tail"]) == ("fit", "success", True)
        assert row["alpha"] > 1e7
        same = analyse(Q, "dense", profile(name, faithful=False)).layer
        assert (same["outcome"], same["alpha"], same["degenerate_tail"]) == ("failed", None, True)
        assert same["spectral_norm"] == row["spectral_norm"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(400, 400), (512, 64), (600, 150)])
def test_random_weights_have_a_tail_in_every_type(shape, dtype, analyse, any_profile) -> None:
    W = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    row = analyse(stored(W, dtype), "dense", any_profile, dtype).layer
    assert (row["outcome"], row["degenerate_tail"]) == ("fit", False)


@pytest.mark.parametrize("dtype", EPS_TYPES)
def test_the_cut_lies_at_eight_eps_of_the_stored_type(dtype, profile) -> None:
    eps = torch.finfo(getattr(torch, dtype)).eps
    assert resolution(dtype) == 8 * eps
    for spread, degenerate in ((7.5, True), (16.0, False)):
        evals = np.linspace(1.0 - spread * eps, 1.0, 50)
        row = analyse_layer(Spectrum(evals[None], 60, 50, "gram", "cpu"), "dense", profile("corrected"), dtype=dtype)
        kept = row.layer["xmin"]
        assert row.layer["degenerate_tail"] is (degenerate or kept is None), (spread, kept)
        if kept is not None:
            assert 1.0 - kept >= 8 * eps
    whole = replace(profile("corrected"), options={"fit": {"min_tail": 50}})
    for spread, degenerate in ((7.9, True), (8.1, False)):
        evals = np.linspace(1.0 - spread * eps, 1.0, 50)
        row = analyse_layer(Spectrum(evals[None], 60, 50, "gram", "cpu"), "dense", whole, dtype=dtype).layer
        assert row["degenerate_tail"] is degenerate, spread


def test_packed_and_wider_types_count_as_what_they_are_computed_in() -> None:
    for name in ("float64", "complex64", "complex128", "q4_0", "bnb-nf4", "gptq-int4", "float8_e4m3fn+scale"):
        assert resolution(name) == resolution("float32") == 2.0**-20
    assert resolution("float8_e4m3fn") == resolution("float8_e5m2") == 0.1


@pytest.mark.parametrize("methods", [("hill",), ("fingers",), ("e_tpl",), ("robust_alpha",)])
def test_no_other_exponent_of_a_degenerate_tail(methods, analyse, profile) -> None:
    row = analyse(orthonormal(80, 60), "dense", profile("corrected", methods=list(methods))).layer
    known = {name: value for name, value in row.items() if "alpha" in name.lower() and value is not None}
    assert known == {}


def test_hill_says_nothing_of_tied_values_above_a_tail() -> None:
    lam = np.sort(np.r_[np.random.default_rng(0).pareto(2.0, 90) + 1.0, 500.0 + 1e-6 * np.arange(10)])
    row = HILL.run(Esd(evals=lam, fitted=lam, slices=lam[None], N=120, M=100, rf=1), Fit(Status.SUCCESS), {})
    assert row["alpha_hill_5pct"] is None
    assert row["alpha_hill_half"] is not None


def test_an_exponent_beyond_float64_is_no_fit(monkeypatch, profile) -> None:
    def steep(x: np.ndarray, logs: np.ndarray) -> Candidates:
        first = np.arange(len(x) - 1)
        return Candidates(logs, first, (len(x) - first).astype(float), np.full(len(first), np.inf))

    monkeypatch.setitem(RULES, "steep", steep)
    evals = np.sort(np.random.default_rng(0).pareto(2.0, 50) + 1.0)
    with np.errstate(invalid="ignore"):
        chosen = profile("weightwatcher", fit="steep")
        row = analyse_layer(Spectrum(evals[None], 60, 50, "gram", "cpu"), "dense", chosen).layer
    assert (row["alpha"], row["outcome"], row["status"]) == (None, "failed", "degenerate_tail")
