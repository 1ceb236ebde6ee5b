"""Errors that know families: statsmodels' sandwich, a simulation of kin without effect, and the studies' option."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.jobs.studies.test_batch import population
from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.clustered import clustered
from zoospectra.analysis.studies import study


def zoo(rng: np.random.Generator, effect: float, rho: float = 0.8) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """40 independent families of 1 to 31 models; descendants share most of x and of the error of y."""
    family = np.repeat(np.arange(40), rng.integers(1, 31, size=40) + 1)
    ancestor_x, ancestor_y = rng.normal(size=(2, 40))
    own_x, own_y = rng.normal(size=(2, len(family)))
    x = np.sqrt(rho) * ancestor_x[family] + np.sqrt(1 - rho) * own_x
    y = effect * x + np.sqrt(rho) * ancestor_y[family] + np.sqrt(1 - rho) * own_y
    return x, y, family.tolist()


@pytest.mark.oracle
def test_the_plain_sandwich_is_that_of_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    x, y, family = zoo(np.random.default_rng(0), 0.3)
    line = clustered(x.tolist(), y.tolist(), family)
    fit = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": np.array(family)})
    assert line.slope == pytest.approx(fit.params[1], rel=1e-10)
    assert line.plain_se == pytest.approx(fit.bse[1], rel=1e-10)


@pytest.mark.parametrize("kin", [0.0, 1.0])
def test_the_corrected_error_is_its_own_matrix_formula(kin: float) -> None:
    """Bell and McCaffrey's error and freedom, written with n x n matrices; rho as the function estimates it."""
    rng = np.random.default_rng(1)
    family = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 1, 9])
    x, y = rng.normal(size=(2, len(family)))
    y += kin * rng.normal(size=9)[family]
    line = clustered(x.tolist(), y.tolist(), family.tolist())
    X = np.column_stack([np.ones(len(x)), x])
    inverse = np.linalg.inv(X.T @ X)
    residual_maker = np.eye(len(x)) - X @ inverse @ X.T
    residual, columns, variance = residual_maker @ y, [], 0.0
    for name in range(9):
        own = family == name
        values, vectors = np.linalg.eigh(residual_maker[np.ix_(own, own)])
        weight = (inverse @ X[own].T @ (vectors / np.sqrt(values)) @ vectors.T)[1]
        variance += float(weight @ residual[own]) ** 2
        columns.append(residual_maker[:, own] @ weight)
    assert line.slope_se == pytest.approx(np.sqrt(variance), rel=1e-9)
    sizes = np.bincount(family)
    rho = (len(x) / line.effective - 1) / ((sizes @ sizes) / len(x) - 1)
    assert (rho > 0.1) == bool(kin)
    omega = (1 - rho) * np.eye(len(x)) + rho * (family[:, None] == family[None, :])
    gram = np.array(columns) @ omega @ np.array(columns).T
    assert line.freedom == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum(), rel=1e-9)
    law = stats.t(line.freedom, loc=line.slope, scale=line.slope_se)
    assert (line.low, line.high) == pytest.approx(law.interval(0.95), rel=1e-9)
    assert line.p == pytest.approx(2 * min(law.cdf(0.0), law.sf(0.0)), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_effective_number_is_that_of_the_analysis_of_variance(seed: int) -> None:
    """rho = (F - 1) / (F - 1 + n0) of residuals by families, n0 their size in the balanced case (Donner 1986)."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(7), [1, 2, 3, 4, 5, 6, 9])
    x = rng.normal(size=len(family))
    y = x + (seed > 0) * rng.normal(size=7)[family] + 0.5 * rng.normal(size=len(family))
    line = stats.linregress(x, y)
    residual = y - line.intercept - line.slope * x
    F = stats.f_oneway(*(residual[family == i] for i in range(7))).statistic
    n, sizes = len(x), np.bincount(family)
    size = (n - (sizes @ sizes) / n) / 6
    rho = max(0.0, (F - 1) / (F - 1 + size))
    effective = n / (1 + ((sizes @ sizes) / n - 1) * rho)
    assert clustered(x.tolist(), y.tolist(), family.tolist()).effective == pytest.approx(effective)


def test_families_of_one_are_independent_models() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 60)).tolist()
    line = clustered(x, y, list(range(60)))
    assert (line.clusters, line.effective) == (60, 60)
    assert line.slope_se == pytest.approx(regression(x, y).slope_se, rel=0.25)
    assert slope_interval(x, y, clusters=list(range(60))) == slope_interval(x, y)


def test_the_bootstrap_draws_families_together() -> None:
    x, y, family = zoo(np.random.default_rng(3), 0.0)
    alone, together = slope_interval(x.tolist(), y.tolist()), slope_interval(x.tolist(), y.tolist(), clusters=family)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_few_families_give_a_reason() -> None:
    assert clustered([1, 2, 3, 5], [1, 3, 2, 4], [0, 0, 1, 2]).slope == pytest.approx(5.5 / 8.75)
    assert clustered([1, 2, 3, 5], [2, 4, 6, 10], [0, 0, 1, 2]).reason == "the line explains everything"
    assert "2 families" in (clustered([1, 2, 3, 5], [1, 3, 2, 4], [0, 0, 1, 1]).reason or "")


@pytest.mark.slow
def test_kin_without_effect_is_called_one_in_twenty_times() -> None:
    """The table of docs/statistics.md: 1000 zoos an effect, level 5 %."""
    rng = np.random.default_rng(4)
    called: dict[float, tuple[float, float]] = {}
    for effect in (0.0, 0.3, 0.5):
        plain = corrected = 0
        for _ in range(1000):
            x, y, family = zoo(rng, effect)
            plain += regression(x.tolist(), y.tolist()).slope_p < 0.05
            corrected += clustered(x.tolist(), y.tolist(), family).p < 0.05
        called[effect] = (plain / 1000, corrected / 1000)
    assert 0.03 <= called[0.0][1] <= 0.07
    page = (Path(__file__).resolve().parents[3] / "docs" / "statistics.md").read_text()
    for effect, shares in called.items():
        (cells,) = re.findall(rf"^\| {effect or 'none'} \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
        assert [float(cell) for cell in cells] == pytest.approx([100 * share for share in shares], abs=0.5)


@pytest.mark.parametrize("name", ["batch", "contest", "simpson"])
def test_studies_take_it(name: str) -> None:
    designs = population(30)
    designs["kin"] = [{"model_id": f"m{i}", "family": i // 3} for i in range(29)]
    kind = study(name)
    off = kind.run(designs, kind.options(metrics=["alpha"]))
    cluster = kind.run(designs, kind.options(metrics=["alpha"], independent="cluster"))
    extra = [
        cell for cell in cluster.cells if cell.column.startswith(("clustered", "kin effect", "famil", "effective"))
    ]
    assert {cell.column.split(" alpha")[0].split(" Alpha")[0] for cell in extra} >= {"families", "clustered slope p"}
    assert [cell for cell in cluster.cells if cell not in extra] == list(off.cells)
    one = kind.run(designs, kind.options(metrics=["alpha"], independent="one"))
    left = [row for row in one.design if str(row["excluded_by"]).startswith("kin of")]
    assert len(left) == 19
    assert max(cell.n for cell in one.cells if cell.n) == 11
    warned = [
        any("verdicts of SIMPSON count every model" in note for note in each.notes) for each in (off, cluster, one)
    ]
    assert warned == [False, name == "simpson", False]


def test_misuse_says_what_is_missing() -> None:
    kind = study("batch")
    with pytest.raises(ValueError, match="independent=all: expected one of off, cluster, one"):
        kind.options(independent="all")
    with pytest.raises(ValueError, match="independent=cluster: expected families in the warehouse"):
        kind.run(population(), kind.options(independent="cluster"))
