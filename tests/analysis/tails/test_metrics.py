"""The methods' columns: contract, known answers, layers that cannot be fitted, and real layers."""

import math
import warnings

import numpy as np
import pytest

from zoospectra.analysis.metrics import bootstrap, e_tpl, fingers, gof, robust_alpha, tails
from zoospectra.analysis.metrics.peak import peak
from zoospectra.analysis.powerlaw import fit_powerlaw
from zoospectra.analysis.records import Esd, Fit, Status
from zoospectra.analysis.tails import truncated
from zoospectra.analysis.uncertainty.goodness import goodness

METHODS = [tails.METHOD, e_tpl.METHOD, fingers.METHOD, gof.METHOD, bootstrap.METHOD, robust_alpha.METHOD]
CHEAP = {"gof": {"replicates": 50}, "bootstrap": {"replicates": 50}}
FINGERED = [0, 57, 290, 349]
TYPES = {"double": float, "bigint": int, "varchar": str}


def esd_of(x, seed=3):
    x = np.sort(np.asarray(x, dtype=np.float64))
    return Esd(evals=x, fitted=x[x > 1e-5], slices=x[None, :], N=max(len(x), 1), M=len(x), rf=1, seed=seed)


def layer(K=300, seed=0):
    rng = np.random.default_rng(seed)
    return np.sort(np.r_[rng.random(K // 2), (1.0 - rng.random(K - K // 2)) ** (-1 / 1.5)])


def check(method, row):
    assert list(row) == [column.name for column in method.columns]
    for column in method.columns:
        value = row[column.name]
        assert value is None or type(value) is TYPES[column.type], column.name
        assert not isinstance(value, float) or math.isfinite(value), column.name


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_ordinary_layer_fills_every_column(method):
    x = layer()
    row = method.run(esd_of(x), fit_powerlaw(x), CHEAP.get(method.name, {}))
    check(method, row)
    optional = {"lognormal_mu", "lognormal_sigma", "stretched_lambda"}
    assert [name for name, value in row.items() if value is None and name not in optional] == []


ODD = {
    "zeros": np.zeros(40),
    "constant": np.full(40, 2.5),
    "one": np.array([1.0]),
    "two": np.array([1.0, 2.0]),
    "three": np.array([1.0, 2.0, 5.0]),
    "one above zero": np.r_[np.zeros(30), 4.0],
    "one above a constant": np.r_[np.ones(30), 4.0],
    "nearly constant": 1.0 + 1e-15 * np.arange(30),
    "huge": np.geomspace(1e150, 1e300, 40),
    "tiny": np.geomspace(1e-300, 1e-200, 40),
    "wide": np.geomspace(1e-4, 1e300, 40),
    "ties": np.repeat([1.0, 2.0, 4.0, 8.0], 10),
}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ODD)
def test_odd_layers_give_none_and_no_warning(method, name):
    x = np.sort(ODD[name])
    kept = x[x > 1e-5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit in (fit_powerlaw(kept), Fit(status=Status.TOO_FEW)):
            check(method, method.run(esd_of(x), fit, CHEAP.get(method.name, {})))


@pytest.mark.parametrize("method", [m for m in METHODS if "fit" in m.needs], ids=lambda method: method.name)
def test_no_fit_gives_none_everywhere(method):
    row = method.run(esd_of(layer()), Fit(status=Status.DEGENERATE), {})
    assert set(row.values()) == {None}


def test_tails_column_signs_follow_powerlaws_convention():
    rng = np.random.default_rng(1)
    x = np.sort(1.0 + rng.exponential(1.0, 400))
    row = tails.METHOD.run(esd_of(x), Fit(Status.SUCCESS, 2.0, 1.0, float(x[-1]), 0.1, 0.1, 400), {})
    assert row["R_exponential"] < 0 < 0.05 > row["p_exponential"]
    assert row["best_fit"] == "exponential"
    x = np.sort((1.0 - rng.random(400)) ** (-1 / 1.5))
    row = tails.METHOD.run(esd_of(x), Fit(Status.SUCCESS, 2.5, 1.0, float(x[-1]), 0.1, 0.1, 400), {})
    assert row["R_exponential"] > 0 < 0.05 > row["p_exponential"]
    assert row["best_fit"] == "power_law"


def test_peak_is_the_fullest_of_100_bins():
    x = np.sort(np.r_[np.full(5, 3.0), np.geomspace(0.01, 100.0, 41)])
    edges = np.histogram(np.log10(x), bins=100)[1]
    assert peak(x) == pytest.approx(10 ** edges[np.searchsorted(edges, np.log10(3.0)) - 1])
    assert peak(np.ones(9)) is None


def test_e_tpl_starts_at_the_peak():
    x = np.sort(np.random.default_rng(2).lognormal(0.0, 1.0, 500))
    row = e_tpl.METHOD.run(esd_of(x), fit_powerlaw(x), {})
    tail = x[x >= peak(x)]
    assert (row["E_TPL_xmin"], row["E_TPL_num"]) == (tail[0], len(tail))
    expected = truncated.fit(tail, tail[0]).parameters
    assert (row["E_TPL_alpha"], row["E_TPL_Lambda"]) == (expected["alpha"], expected["Lambda"])


def fingered(seed):
    """A sample of a law with alpha 4 whose best tail is a short steep one at the top; such seeds are one in thirty."""
    rng = np.random.default_rng(seed)
    return np.sort(np.r_[rng.random(60), (1.0 - rng.random(60)) ** (-1 / 3.0)])


@pytest.mark.parametrize("seed", FINGERED)
def test_clipping_drops_fingers_and_finds_the_law(seed):
    x = fingered(seed)
    accepted, raw, count = fingers.clip(x)
    falls = [fit_powerlaw(x[:-dropped]).alpha + 1.0 < raw.alpha for dropped in range(2, 10)]
    assert raw.alpha == fit_powerlaw(x).alpha
    assert falls.index(True) + 1 == count > 0
    assert accepted.alpha == fit_powerlaw(x[: -(count + 1)]).alpha
    assert abs(accepted.alpha - 4.0) < abs(raw.alpha - 4.0)
    row = fingers.METHOD.run(esd_of(x), fit_powerlaw(x), {})
    assert (row["alpha_clip"], row["xmax_clip"], row["num_fingers"]) == (accepted.alpha, x[-(count + 2)], count)


def test_nothing_is_clipped_from_a_clean_tail():
    x = np.sort((1.0 - np.random.default_rng(4).random(400)) ** (-1 / 1.5))
    accepted, raw, count = fingers.clip(x)
    assert (accepted, count) == (raw, 0)


def test_peak_range_is_around_the_peak_not_its_logarithm():
    x = np.sort(np.random.default_rng(2).lognormal(3.0, 1.0, 500))
    edge = peak(x)
    assert 0.95 * edge <= fingers.at_peak(x)[1] <= 1.5 * edge
    assert fingers.at_peak(x, "weightwatcher")[1] <= 1.5 * edge
    with pytest.raises(ValueError, match="lower"):
        fingers.at_peak(x, "log")


@pytest.mark.parametrize("seed", range(20))
def test_a_peak_at_the_smallest_value_keeps_it(seed):
    x = np.random.default_rng(seed).uniform(1.0, 9.0) * 2.0 ** np.arange(7)
    assert e_tpl.METHOD.run(esd_of(x), Fit(Status.TOO_FEW), {})["E_TPL_num"] == 7


def test_gof_reads_the_seed_and_the_fitted_values():
    x = np.sort(np.r_[np.full(30, 1e-9), layer()])
    fit = fit_powerlaw(x[x > 1e-5])
    row = gof.METHOD.run(esd_of(x, seed=77), fit, {"replicates": 100})
    found = goodness(x[x > 1e-5], 100, 77)
    assert (row["gof_p"], row["gof_D"], row["gof_xmin"]) == (found.p, found.D, found.xmin)
    assert row["gof_D"] == pytest.approx(fit.D, abs=1e-11)
    assert row["gof_xmin"] == fit.xmin


def test_real_layers_fill_their_columns(real_spectra):
    for x in real_spectra.values():
        fit = fit_powerlaw(x[x > 1e-5])
        for method in METHODS:
            check(method, method.run(esd_of(x), fit, CHEAP.get(method.name, {})))
        row = bootstrap.METHOD.run(esd_of(x), fit, {"replicates": 200})
        assert row["alpha_low"] < row["alpha_high"]
        assert row["alpha_low_fixed"] < fit.alpha < row["alpha_high_fixed"]


@pytest.mark.oracle
def test_fingers_are_weightwatchers(real_spectra, silent):
    weightwatcher = pytest.importorskip("weightwatcher")
    from weightwatcher.RMT_Util import fit_clipped_powerlaw

    watcher, clipped = weightwatcher.WeightWatcher(), 0
    spectra = {**real_spectra, **{f"seed {seed}": fingered(seed) for seed in FINGERED}}
    for name, evals in spectra.items():
        x = evals[evals > 1e-5]
        with silent():
            theirs, count, raw = fit_clipped_powerlaw(x)
            near = watcher.fit_powerlaw(x, plot=False, fix_fingers="xmin_peak", pl_package="powerlaw")
        accepted, first, ours = fingers.clip(x)
        assert (accepted.alpha, first.alpha) == (
            pytest.approx(theirs.alpha, rel=1e-9),
            pytest.approx(raw.alpha, rel=1e-9),
        ), name
        assert ours == count, name
        clipped += ours > 0
        found = fingers.at_peak(x, "weightwatcher")
        assert found[0] == pytest.approx(near[0], rel=1e-9), name
        assert found[1] == pytest.approx(near[2], rel=1e-12), name
        assert found[2] == pytest.approx(near[4], abs=1e-9), name
    assert clipped >= len(FINGERED)
