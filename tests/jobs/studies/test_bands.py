"""What study_results keep of a line is enough to draw it with its band, against the textbook's formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.jobs.studies.ask import study
from zoospectra.warehouse.query import query


@pytest.mark.parametrize(
    ("name", "row", "end"),
    [
        ("contest", "weightwatcher / toy / test_accuracy / POOLED", " Alpha"),
        ("simpson", "weightwatcher / toy / test_accuracy / depth-1 / alpha", ""),
        ("flow", "weightwatcher / toy / test_accuracy / depth-1", " dispersion"),
        ("natcomm2021", "weightwatcher / toy / test_accuracy / depth-1", " alpha-hat"),
        ("alpha_hat", "weightwatcher / toy / test_accuracy / POOLED", " alpha-hat"),
    ],
)
def test_a_band_from_the_table_alone(name: str, row: str, end: str, planted: Path) -> None:
    study(name, planted)
    sql = """SELECT "column", value, n FROM study_results WHERE study = $name AND row = $row"""
    rows = query(planted, sql, {"name": name, "row": row}).to_pylist()
    cell = {one["column"].removesuffix(end): one["value"] for one in rows if one["column"].endswith(end)}
    n = next(one["n"] for one in rows if one["column"] == f"slope{end}")
    error = (cell["slope high"] - cell["slope low"]) / 2 / stats.t.ppf(0.975, n - 2)
    middle, noise = -cell["covariance"] / error**2, cell["RMSE"] ** 2 * n / (n - 2)
    at = middle + 0.7
    variance = noise / n + error**2 * (at - middle) ** 2
    if name in ("contest", "alpha_hat"):
        metric = {"contest": "alpha", "alpha_hat": "alpha_weighted"}[name]
        sql = (
            f"SELECT m.{metric} AS x, r.value AS y FROM model_metrics AS m JOIN reported_metrics AS r USING (model_id)"
        )
        data = query(planted, f"{sql} WHERE r.metric = 'test_accuracy'").to_pylist()
        x, y = np.array([one["x"] for one in data]), np.array([one["y"] for one in data])
        design = np.column_stack([np.ones(n), x])
        left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        inverse = np.linalg.inv(design.T @ design) * (left @ left) / (n - 2)
        assert variance == pytest.approx(np.array([1, at]) @ inverse @ np.array([1, at]), rel=1e-6)
        assert cell["covariance"] == pytest.approx(inverse[0, 1], rel=1e-6)
        line = np.linalg.lstsq(design, y, rcond=None)[0]
        assert cell["intercept"] + cell["slope"] * at == pytest.approx(line[0] + line[1] * at)
    assert variance > 0
