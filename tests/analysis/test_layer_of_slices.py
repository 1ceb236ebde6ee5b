"""The row of a layer from the rows of its slices, and the defaults of a profile."""

from __future__ import annotations

import dataclasses
import inspect
import math
from itertools import product

import numpy as np
import pytest

from zoospectra.analysis.layer import analyse_layer, columns, esds, fitted, is_degenerate
from zoospectra.analysis.marchenko_pastur import fit_bulk
from zoospectra.analysis.methods import METHODS, method
from zoospectra.analysis.metrics import fingers
from zoospectra.analysis.powerlaw import RULES
from zoospectra.analysis.profile import LEAST, SCALES, Profile
from zoospectra.analysis.records import Fit, Spectrum, Status
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.tracy_widom import centre_and_width
from zoospectra.analysis.uncertainty.goodness import goodness
from zoospectra.analysis.uncertainty.interval import known, searched
from zoospectra.analysis.uncertainty.robust import robust

BY_SLICE = Profile("by slice", pool=False, methods=("norms", "alpha_norms", "hill", "phase"))
NORMAL, ZERO, EQUAL = (np.random.default_rng(0).standard_t(3, (30, 20)), np.zeros((30, 20)), np.eye(30)[:, :20])


@pytest.mark.parametrize("kinds", [
    (NORMAL, 2 * NORMAL[::-1]), (NORMAL, ZERO), (ZERO, NORMAL), (ZERO, EQUAL), (EQUAL, ZERO), (ZERO, ZERO),
    (EQUAL, NORMAL, ZERO),
])  # fmt: skip
def test_means_of_numbers_sums_of_counts_words_that_all_share(kinds: tuple[np.ndarray, ...]) -> None:
    found = analyse_layer(spectrum(np.stack(kinds)), "conv1d", BY_SLICE)
    alone = [analyse_layer(spectrum(one[None]), "dense", dataclasses.replace(BY_SLICE, scale="none")) for one in kinds]
    assert [row["slice_id"] for row in found.slices] == list(range(len(kinds)))
    assert [row["status"] for row in found.slices] == [one.slices[0]["status"] for one in alone]
    for column in columns(BY_SLICE):
        values = [row[column.name] for row in found.slices if row[column.name] is not None]
        mine = found.layer[column.name]
        if column.name in ("N", "M", "rf"):
            assert mine == {"N": 30, "M": 20, "rf": len(kinds)}[column.name]
        elif column.name in ("outcome", "status"):
            fits = [row for row in found.slices if row["outcome"] == "fit"]
            degenerate = [row for row in found.slices if row["degenerate_tail"]]
            assert mine == (fits or degenerate or found.slices)[0][column.name]
        elif column.name == "warning":
            alpha = found.layer["alpha"]
            words = "over-trained" if alpha and alpha < 2 else "under-trained" if alpha and alpha > 6 else None
            assert mine == words
        elif not values:
            assert mine is None
        elif column.type == "double":
            assert mine == pytest.approx(math.fsum(values) / len(values), rel=1e-14)
        elif column.type == "bigint":
            assert mine == sum(values)
        elif column.type == "boolean":
            assert mine == any(values)
        else:
            assert mine == (values[0] if len(set(values)) == 1 else None)


@pytest.mark.parametrize(("alpha", "word"), [(1.99, "over-trained"), (2.0, None), (6.0, None), (6.01, "under-trained")])
def test_alpha_exactly_at_its_bounds(alpha: float, word: str | None, monkeypatch) -> None:
    from zoospectra.analysis import layer

    monkeypatch.setattr(layer, "fit_powerlaw", lambda *_, **__: Fit(Status.SUCCESS, alpha, 0.5, 9.0, 0.1, 0.1, 9))
    assert analyse_layer(spectrum(NORMAL[None]), "dense", Profile("x")).layer["warning"] == word


@pytest.mark.parametrize("rank", [3, 20])
def test_the_zeros_of_an_update_come_first(rank: int) -> None:
    held = np.sort(np.random.default_rng(1).random((2, rank)))
    made = esds(Spectrum(held, 30, 20, "svd", "cpu"), "dense", Profile("x", pool=False))
    assert [one.evals.tolist() for one in made] == [[0.0] * (20 - rank) + row.tolist() for row in held]
    assert all((one.N, one.M, one.rf, one.slices.shape) == (30, 20, 2, (1, 20)) for one in made)
    row = analyse_layer(Spectrum(held[:1], 30, 20, "svd", "cpu"), "dense", Profile("x", min_evals=1)).layer
    assert row["num_evals"] == rank


def test_what_a_profile_lets_through() -> None:
    evals = np.array([0.0, 1e-6, 1e-5, 2e-5, 1.0, 4.0])
    for drop, threshold, relative in product((0, 4), (0.0, 1e-5), (False, True)):
        kind = Profile("x", drop_smallest=drop, threshold=threshold, threshold_relative=relative)
        wanted = [one for one in evals[drop:] if one > threshold * (4.0 if relative else 1.0)]
        assert fitted(evals, kind).tolist() == wanted


def test_a_tail_exactly_as_narrow_as_stored_weights_resolve() -> None:
    fit = Fit(Status.SUCCESS, 3.0, 0.75, 1.0, 0.1, 0.1, 9)
    assert (is_degenerate(fit, 0.25), is_degenerate(fit, 0.26)) == (False, True)
    assert is_degenerate(Fit(Status.DEGENERATE), 0.1) is True
    assert is_degenerate(Fit(Status.TOO_FEW), 0.1) is None


@pytest.mark.parametrize(("key", "least", "default"), [
    ("min_evals", 10, 8), ("min_M", 21, 1), ("version", 1, 1), ("threshold", 0, 1e-5), ("drop_smallest", 0, 0),
    ("replicas", 0, 0),
])  # fmt: skip
def test_defaults_and_least_values_of_a_profile(key: str, least: int, default: float) -> None:
    assert getattr(Profile("x"), key) == default
    if key in LEAST:
        assert getattr(Profile("x", **{key: LEAST[key]}), key) == LEAST[key]
        with pytest.raises(ValueError, match=f"{key}=-?[0-9]+: expected at least {LEAST[key]} in profile 'x'"):
            Profile("x", **{key: LEAST[key] - 1})
    row = {kind: analyse_layer(spectrum(NORMAL[:, :10][None]), "dense", kind).layer
           for kind in (Profile("x"), Profile("x", min_evals=10), Profile("x", min_evals=11), Profile("x", min_M=10),
                        Profile("x", min_M=11))}  # fmt: skip
    assert [one["filtered_by"] for one in row.values()] == [None, None, "min_evals", None, "min_M"]


def test_scales() -> None:
    assert LEAST == {"min_evals": 1, "min_M": 1, "threshold": 0, "drop_smallest": 0, "replicas": 0}
    kinds = ("dense", "conv1d", "conv2d", "depthwise")
    assert [SCALES["weightwatcher"](kind, 9) for kind in kinds] == [1.0, 0.5, 0.5, 0.5]
    assert [SCALES["half_rf"]("conv2d", rf) for rf in (1, 9)] == [0.5, 4.5]
    assert SCALES["none"]("conv2d", 9) == 1.0
    assert Profile("x", normalize=True).factor("conv2d", 8, 9) == 0.5 / 8
    assert Profile("x", replicas=2).spectra == ("slices", "slices+shuffled0", "slices+shuffled1")


def test_every_default_of_a_convention() -> None:
    """What results were made with where nothing is said; a changed one changes numbers that people compare."""
    assert dataclasses.asdict(Profile("x")) == {
        "name": "x", "version": 1, "unfold": "slices", "scale": "weightwatcher", "normalize": False, "pool": True,
        "min_evals": 8, "min_M": 1, "threshold": 1e-5, "threshold_relative": False, "drop_smallest": 0,
        "fit": "weightwatcher", "faithful": False, "left_out": ("degenerate_tail",),
        "methods": ("norms", "alpha_norms"), "replicas": 0, "options": {},
    }  # fmt: skip
    assert {name: dict(method(name).defaults) for name in METHODS if method(name).defaults} == {
        "norms": {"tolerance": 1e-6},
        "alpha_norms": {"drop_smallest": 0},
        "robust_alpha": {"min_tail": 8},
        "bootstrap": {"replicates": 1000, "level": 0.95},
        "gof": {"replicates": 1000, "min_tail": 2},
        "fingers": {"max_fingers": 10, "finger_thresh": 1.0, "lower": "peak"},
        "marchenko_pastur": {"tail": 0.01},
        "phase": {"tail": 0.01, "zero_share": 0.1, "mp_D": 0.01, "bleed": 1.25, "heavy_alpha": 4.0, "min_evals": 50},
        "randomized": {"tail": 0.01},
    }
    corrected = inspect.signature(RULES["corrected"]).parameters
    assert {name: one.default for name, one in corrected.items() if one.kind is one.KEYWORD_ONLY} == {
        "min_tail": 8, "bias": 2.0
    }  # fmt: skip
    for function, defaults in (
        (fingers.clip, (10, 1.0)), (fingers.at_peak, ("peak",)), (robust, (8,)), (goodness, (2,)), (known, (0.95,)),
        (searched, (0.95,)), (fit_bulk, (1, 0.01)),
    ):  # fmt: skip
        every = inspect.signature(function).parameters.values()
        assert tuple(one.default for one in every if one.default is not one.empty) == defaults


def test_centre_and_width_of_the_largest_eigenvalue() -> None:
    """Johnstone 2001 with the half-integer centring of Ma 2012."""
    for N, M in ((40, 20), (5, 1)):
        a, b = math.sqrt(N - 0.5), math.sqrt(M - 0.5)
        assert centre_and_width(N, M) == pytest.approx(((a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)))
