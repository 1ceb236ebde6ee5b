"""Layers under profiles: the specification's vectors, hostile matrices, and rows that keep their word."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from zoospectra.analysis.layer import SHAPE_COLUMNS, TOO_FEW_EVALS, TOO_SMALL, analyse_layer, columns
from zoospectra.analysis.records import Spectrum
from zoospectra.analysis.spectrum import spectrum

SHAPE = {column.name for column in SHAPE_COLUMNS} | {"outcome", "status", "filtered_by", "degenerate_tail", "left_out"}
VECTORS = {
    ("dense", (120, 80)): {
        "alpha": 6.459176375,
        "xmin": 1.071352021,
        "D": 0.1380393831,
        "sigma": 1.409553279,
        "num_pl_spikes": 15,
        "log_norm": 1.662510573,
        "log_alpha_norm": 2.10586202,
        "stable_rank": 26.93902543,
        "xmax": 1.706588022,
        "log_spectral_norm": 0.2321286931,
        "alpha_weighted": 1.499360171,
        "entropy": 0.9301794304,
        "warning": "under-trained",
    },
    ("dense", (12, 30)): {
        "alpha": 3.1950352,
        "xmin": 0.1214835888,
        "D": 0.2075400256,
        "sigma": 0.7760621373,
        "num_pl_spikes": 8,
        "log_norm": 0.2411330992,
        "log_alpha_norm": -1.292406072,
        "stable_rank": 6.659471843,
        "warning": None,
    },
    ("conv2d", (24, 16, 3, 3)): {
        "alpha": 1.959219046,
        "xmin": 0.0276260613,
        "D": 0.1534053096,
        "sigma": 0.1079205742,
        "num_pl_spikes": 79,
        "log_norm": 0.9157972148,
        "log_alpha_norm": 0.05114301443,
        "stable_rank": 31.35879909,
        "warning": "over-trained",
    },
    ("conv2d", (16, 24, 2, 2)): {
        "alpha": 4.214687407,
        "xmin": 0.08815145207,
        "D": 0.1365629463,
        "sigma": 0.7374998707,
        "num_pl_spikes": 19,
        "log_norm": 0.5792720471,
        "log_alpha_norm": -2.362639749,
        "stable_rank": 19.25610145,
    },
    ("dense", (200, 300)): {
        "alpha": 9.501743506,
        "xmin": 3.33890346,
        "D": 0.1398626104,
        "sigma": 2.061975675,
        "num_pl_spikes": 17,
        "log_norm": 2.450432143,
        "log_alpha_norm": 6.895347707,
        "stable_rank": 63.55619815,
    },
}


@pytest.mark.parametrize(("layer_type", "shape"), VECTORS)
def test_known_vectors_of_the_default_profile(layer_type, shape, weyl, analyse, profile) -> None:
    row = analyse(weyl(shape), layer_type, profile("weightwatcher")).layer
    for name, value in VECTORS[layer_type, shape].items():
        assert row[name] == (value if value is None or isinstance(value, str) else pytest.approx(value, rel=1e-9)), name
    assert row["status"] == "success"


HOSTILE = {
    "zero": np.zeros((60, 50)),
    "constant": np.full((60, 50), 0.3),
    "rank_one": np.outer(np.arange(1, 61), np.arange(1, 51)) * 0.01,
    "one_row": np.arange(1.0, 90.0)[None],
    "one_number": np.array([[3.0]]),
    "identity": np.eye(64),
    "orthogonal": np.linalg.qr(np.random.default_rng(0).normal(size=(80, 60)))[0],
    "denormal": np.random.default_rng(1).normal(size=(70, 60)) * 1e-310,
    "tiny": np.random.default_rng(2).normal(size=(70, 60)) * 1e-30,
    "huge": np.random.default_rng(3).normal(size=(70, 60)) * 1e30,
    "enormous": np.random.default_rng(4).normal(size=(70, 60)) * 1e148,
    "mixed": np.diag(10.0 ** np.linspace(-150, 150, 60)),
    "two_columns": np.random.default_rng(5).normal(size=(70, 2)),
    "seven": np.random.default_rng(6).normal(size=(70, 7)),
    "tied": np.kron(np.eye(10), np.random.default_rng(7).normal(size=(8, 6))),
    "half_precision": np.random.default_rng(8).normal(size=(70, 60)).astype(np.float16),
    "conv_zero": np.zeros((60, 50, 2, 2)),
    "conv_one_dead_slice": np.where(
        np.arange(4).reshape(2, 2) == 1, 0, np.random.default_rng(9).normal(size=(60, 55, 2, 2))
    ),
    "depthwise": np.random.default_rng(10).normal(size=(60, 1, 3, 3)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_matrices_give_complete_finite_rows(kind, analyse, any_profile) -> None:
    array = HOSTILE[kind]
    analysis = analyse(array, "conv2d" if array.ndim == 4 else "dense", any_profile)
    assert analysis.columns == columns(any_profile)
    kinds = {"double": float, "bigint": int, "varchar": str, "boolean": bool}
    for row in (analysis.layer, *analysis.slices):
        assert set(row) - {"slice_id"} == {column.name for column in analysis.columns}
        for column in analysis.columns:
            value = row[column.name]
            assert value is None or type(value) is kinds[column.type], (column.name, value)
            assert not isinstance(value, float) or math.isfinite(value), column.name
        assert (row["alpha"] is None) == (row["status"] != "success") == (row["outcome"] != "fit")
        assert (row["outcome"] == "filtered") == (row["status"] in (TOO_FEW_EVALS, TOO_SMALL))
        assert row["alpha"] is None or row["alpha"] > 1
        assert row["alpha"] is not None or row["warning"] is None
    assert len(analysis.slices) == (0 if any_profile.pool else analysis.layer["rf"])


def test_failures_say_why(analyse, profile) -> None:
    default = profile("weightwatcher")
    assert analyse(HOSTILE["zero"], "dense", default).layer["status"] == "failed: every eigenvalue is zero"
    assert analyse(HOSTILE["identity"], "dense", default).layer["status"] == "degenerate_tail"
    assert analyse(HOSTILE["constant"], "dense", default).layer["status"].startswith("failed: too few")
    few = analyse(HOSTILE["seven"], "dense", default).layer
    assert (few["status"], few["outcome"], few["num_evals"], few["alpha"]) == (TOO_FEW_EVALS, "filtered", 7, None)
    assert few["log_norm"] == pytest.approx(math.log10(np.linalg.norm(HOSTILE["seven"]) ** 2))
    assert analyse(HOSTILE["zero"], "dense", default).layer["outcome"] == "failed"
    below = analyse(HOSTILE["seven"], "dense", profile("natcomm2021"))
    small = below.slices[0]
    assert (small["outcome"], below.layer["outcome"]) == ("filtered", "filtered")
    assert (small["status"], small["log_norm"]) == (TOO_SMALL, None)
    assert small["log_spectral_norm"] == pytest.approx(math.log10(np.linalg.norm(HOSTILE["seven"], 2) ** 2 / 2))


def test_ranks_count_what_is_there(analyse, profile) -> None:
    W = np.random.default_rng(0).normal(size=(40, 9)) @ np.random.default_rng(1).normal(size=(9, 30))
    row = analyse(W, "dense", profile("weightwatcher")).layer
    assert (row["matrix_rank"], row["rank_loss"], row["weak_rank_loss"]) == (9, 21, 21)
    assert row["sv_max"] == pytest.approx(np.linalg.norm(W, 2))
    assert row["norm"] == pytest.approx(np.linalg.norm(W) ** 2)


def test_sv_min_and_rank_loss_are_by_slice(analyse, profile) -> None:
    kernel = np.zeros((4, 3, 1, 3))
    kernel[:3, :3, 0, 0], kernel[:3, :3, 0, 1] = np.diag([1.0, 2.0, 3.0]), np.diag([4.0, 5.0, 0.0])
    row = analyse(kernel, "conv2d", profile("weightwatcher")).layer
    assert row["sv_min"] == pytest.approx(math.sqrt(0.5))
    assert row["rank_loss"] == 4
    assert row["num_evals"] == 9


def test_a_layer_of_slices_has_their_means_and_sums(weyl, analyse, profile) -> None:
    analysis = analyse(weyl((60, 52, 2, 2)), "conv2d", profile("natcomm2021"))
    assert [row["slice_id"] for row in analysis.slices] == [0, 1, 2, 3]
    for name in ("alpha", "log_norm", "log_spectral_norm", "alpha_weighted", "D"):
        assert analysis.layer[name] == pytest.approx(np.mean([row[name] for row in analysis.slices]), rel=1e-14)
    assert analysis.layer["num_evals"] == 4 * 52
    assert analysis.layer["num_pl_spikes"] == sum(row["num_pl_spikes"] for row in analysis.slices)
    assert (analysis.layer["rf"], analysis.layer["M"], analysis.layer["Q"]) == (
        4,
        52,
        60 / 52,
    )


def test_a_dead_slice_is_left_out_of_the_means(analyse, profile) -> None:
    analysis = analyse(HOSTILE["conv_one_dead_slice"], "conv2d", profile("natcomm2021"))
    alive = [row for row in analysis.slices if row["alpha"] is not None]
    assert [row["slice_id"] for row in alive] == [0, 2, 3]
    assert analysis.layer["alpha"] == pytest.approx(np.mean([row["alpha"] for row in alive]))
    assert (analysis.layer["status"], analysis.layer["outcome"]) == ("success", "fit")
    assert [row["outcome"] for row in analysis.slices] == ["fit", "failed", "fit", "fit"]


def test_shuffled_copies_are_scaled_as_the_layer(profile) -> None:
    rng = np.random.default_rng(0)
    slices = rng.normal(size=(4, 20, 12))
    copy = spectrum(rng.permuted(slices.reshape(4, -1), axis=1).reshape(slices.shape))
    chosen = profile("weightwatcher", replicas=1, methods=["norms", "alpha_norms", "randomized"])
    row = analyse_layer(spectrum(slices), "conv2d", chosen, shuffled=[copy]).layer
    assert row["rand_replicas"] == 1
    assert row["max_rand_eval"] == pytest.approx(copy.evals.max() / 2)


def test_alpha_of_the_corrected_profile_has_no_unit(weyl, analyse, profile) -> None:
    W = weyl((120, 80)).astype(np.float64)
    corrected = profile("corrected")
    plain, scaled = (analyse(W * c, "dense", corrected).layer for c in (1.0, 2.0**-30))
    assert scaled["alpha"] == plain["alpha"]
    assert scaled["D"] == plain["D"]
    # The default profile's absolute threshold makes the same matrix unfittable.
    assert analyse(W * 2.0**-30, "dense", profile("weightwatcher")).layer["status"].startswith("failed")


def test_overflowing_metrics_are_none_not_infinity(profile) -> None:
    evals = np.linspace(1e306, 1e308, 400)
    row = analyse_layer(Spectrum(evals[None], 400, 400, "gram", "cpu"), "dense", profile("weightwatcher")).layer
    assert row["norm"] is None
    assert row["spectral_norm"] == 1e308
    assert row["status"] == "success"


@pytest.mark.parametrize("name", ["weightwatcher", "corrected", "natcomm2021"])
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_every_method_sees_the_profiles_threshold(name, scale, profile) -> None:
    """Where there is an alpha there is all that belongs to it; the smallest values are dropped for all alike."""
    evals = np.sort(1 + np.random.default_rng(0).pareto(2, 300))[None] * scale
    methods = ["gof", "robust_alpha", "bootstrap", "e_tpl", "fingers", "tails"]
    chosen = profile(name, methods=methods, options={"gof": {"replicates": 9}, "bootstrap": {"replicates": 9}})
    row = analyse_layer(Spectrum(evals, 400, 300, "gram", "cpu"), "dense", chosen).layer
    shares = ("gof_p", "robust_alpha", "alpha_low", "E_TPL_alpha", "raw_alpha", "tpl_alpha")
    assert [row[share] is None for share in shares] == [row["alpha"] is None] * len(shares)
    assert (row["alpha"] is None) == (name == "weightwatcher" and scale < 1e-5)
    if row["alpha"] is not None and name == "weightwatcher":
        assert (row["gof_xmin"], row["raw_alpha"]) == (row["xmin"], row["alpha"])


RANK_ONE = {"constant": np.full((60, 50), 0.3), "rank_one": np.outer(np.arange(1, 61), np.arange(1, 51)) * 0.01}


@pytest.mark.parametrize("kind", RANK_ONE)
@pytest.mark.parametrize("seed", range(4))
def test_rounding_of_zero_is_no_data(kind, seed, any_profile) -> None:
    """The last bits of a rank-one layer, other on every processor, decide nothing: neither status nor value."""
    raw = spectrum(RANK_ONE[kind][None])
    noise = np.sort(10.0 ** np.random.default_rng(seed).uniform(-330, -29, 49) * raw.evals[0, -1])
    chosen = replace(any_profile, methods=(*any_profile.methods, "hill", "phase", "marchenko_pastur", "erg", "tails"))
    copy = Spectrum(np.append(noise, raw.evals[0, -1:])[None], 60, 50, "svd", "cpu")
    rows = [analyse_layer(one, "dense", chosen).layer for one in (raw, copy)]
    assert rows[0] == rows[1]
    assert rows[0]["outcome"] == "failed"
    if "sv_min" in rows[0]:
        assert (rows[0]["sv_min"], rows[0]["matrix_rank"]) == (0.0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_last_bits_of_equal_eigenvalues_decide_nothing(seed, any_profile) -> None:
    """An orthogonal layer has no tail; one of equal groups has the tail of its groups."""
    bits = 1 + 1e-13 * np.random.default_rng(seed).standard_normal(60)
    chosen = replace(any_profile, methods=("alpha_norms", "hill", "robust_alpha", "tails", "fingers", "erg"))
    equal = analyse_layer(Spectrum(np.sort(bits)[None], 80, 60, "gram", "cpu"), "dense", chosen).layer
    assert (equal["status"], equal["degenerate_tail"]) == ("degenerate_tail", True)
    assert {value for name, value in equal.items() if name not in SHAPE} == {None}
    groups = np.repeat([1.0, 2.0, 3.0, 5.0, 9.0, 20.0], 10)
    rows = [
        analyse_layer(Spectrum(np.sort(evals)[None], 80, 60, "gram", "cpu"), "dense", chosen).layer
        for evals in (groups, groups * bits)
    ]
    for name, value in rows[0].items():
        assert rows[1][name] == (pytest.approx(value, rel=1e-9, abs=1e-11) if isinstance(value, float) else value), name
