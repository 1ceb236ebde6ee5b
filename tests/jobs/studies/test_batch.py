"""All models of a data set in one line: a covariate that drives both sides is seen, by statsmodels' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.jobs.studies.ask import study
from zoospectra.analysis.studies.batch import STUDY, Options
from zoospectra.warehouse.query import query

ROW = "weightwatcher / toy / test_accuracy / alpha"


def test_depth_held_constant_turns_the_line_around(planted: Path) -> None:
    sm = pytest.importorskip("statsmodels.api")
    found = study("batch", planted, {"metrics": ["alpha", "log_norm"]}).findings
    cells = {cell.column: cell for cell in found.cells if cell.row == ROW}
    sql = """SELECT a.alpha, m.depth, r.value AS y FROM model_metrics AS a JOIN models AS m USING (model_id)
             JOIN reported_newest() AS r USING (model_id) WHERE r.metric = 'test_accuracy'"""
    rows = query(planted, sql).to_pydict()
    alpha, depth, y = (np.array(rows[name]) for name in ("alpha", "depth", "y"))
    plain = sm.OLS(y, sm.add_constant(alpha)).fit()
    held = sm.OLS(y, np.column_stack([np.ones(len(y)), alpha, depth])).fit(cov_type="HC3", use_t=True)
    assert cells["slope"].value == pytest.approx(plain.params[1])
    assert cells["slope, depth held"].value == pytest.approx(held.params[1])
    assert cells["slope, all held"].value == pytest.approx(held.params[1])
    assert plain.params[1] > 0 > held.params[1]
    assert cells["slope"].verdict == "turns around with covariates"
    assert cells["p, all held"].value == pytest.approx(held.pvalues[1], rel=0.5)  # other degrees of freedom
    assert cells["p, all held"].value <= cells["p, all held, adjusted"].value <= 2 * cells["p, all held"].value
    assert f"{ROW.rpartition(' / ')[0]}: 40 models; held constant: depth" in found.notes
    noise = {cell.column: cell for cell in found.cells if cell.row.endswith("/ log_norm")}
    assert noise["slope"].verdict == "not told with covariates"


def population(count: int = 30, **columns: list) -> dict[str, list[dict]]:
    """Models of one architecture each; accuracy grows with the number of parameters, and so does alpha."""
    rng = np.random.default_rng(1)
    size, inner = rng.uniform(5, 8, count), rng.normal(size=count)
    ids = [f"m{i}" for i in range(count)]
    averages = [
        {"model_id": one, "profile": "p", "alpha": 2 + a + 0.2 * b, "num_layers": 9, "basis": "weights"}
        for one, a, b in zip(ids, size, inner, strict=True)
    ]
    catalog = [
        {"model_id": one, "series": f"s{i % 6}", "params": 10**a}
        for i, (one, a) in enumerate(zip(ids, size, strict=True))
    ]
    for name, values in columns.items():
        catalog = [row | {name: value} for row, value in zip(catalog, values, strict=True)]
    reported = [
        {"model_id": one, "dataset": "d", "metric": "acc", "higher_is_better": True, "value": 50 + 6 * a - 3 * b}
        for one, a, b in zip(ids, size, inner, strict=True)
    ]
    return {"averages": averages, "catalog": catalog, "reported": reported}


def held(designs: dict[str, list[dict]], **options) -> str:
    notes = STUDY.run(designs, Options(metrics=["alpha"], **options)).notes
    return notes[0].partition("held constant: ")[2]


def test_size_counts_as_its_logarithm_and_year_where_half_of_the_models_have_it() -> None:
    found = STUDY.run(population(), Options(metrics=["alpha"]))
    cells = {cell.column: cell.value for cell in found.cells}
    assert cells["slope"] > 0
    assert cells["slope, log10 params held"] == pytest.approx(-3 / 0.2)  # y = 50 + 6 size - 3 inner, exactly
    assert cells["mixed slope, all held"] is None or cells["mixed slope, all held"] == pytest.approx(-15, rel=1e-3)
    unknown = [0, -1, *(row["params"] for row in population()["catalog"][2:])]
    beside = {cell.column: cell for cell in STUDY.run(population(params=unknown), Options(metrics=["alpha"])).cells}
    assert beside["slope, log10 params held"].n == 28  # of numbers below 1 there is no logarithm
    years = [2015 + i % 4 for i in range(30)]
    assert held(population(year=years)) == "log10 params, year"
    assert held(population(year=[*years[:15], *[None] * 15])) == "log10 params, year"
    assert held(population(year=[*years[:14], *[None] * 16])) == "log10 params"
    assert held(population(depth=[i % 5 for i in range(30)])) == "depth, log10 params"
    assert held(population(year=years), covariates=["year"]) == "year"


def test_misuse() -> None:
    with pytest.raises(ValueError, match="covariates=colour: expected some of"):
        STUDY.run(population(), Options(covariates=["colour"]))
    with pytest.raises(ValueError, match="smallest=2: expected at least 3"):
        Options(smallest=2)
