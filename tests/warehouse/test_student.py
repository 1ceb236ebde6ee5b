"""Interval and p of a line in SQL against scipy: few and many models, weak and strong slopes, p far below rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.warehouse.world import answer, warehouse

COUNTS = (*range(3, 64), 200)
"""Models of a line: every quantile that is tabulated, and some that are computed."""


def test_intervals_and_p_of_lines() -> None:
    rng = np.random.default_rng(13)
    x, noise = rng.normal(size=200), rng.normal(size=(3, 200))
    sides = {"none": noise[0], "some": x + noise[1], "half": 0.3 * x + noise[2], "all": x + 0.001 * noise[0]}
    raw: dict[str, list[dict[str, object]]] = {"models": [], "layers": [], "layer_metrics": [], "reported_metrics": []}
    for i in range(200):
        base = {"model_id": f"m{i:03d}", "revision": "r"}
        raw["models"].append(base | {"snapshot": "s", "zoo": "z", "series": "one"})
        raw["layers"].append(base | {"layer_id": 0, "longname": "l", "layer_type": "dense", "content_hash": f"h{i}"})
        result = {"content_hash": f"h{i}", "profile": "weightwatcher", "unfold": "slices", "code_version": "1"}
        raw["layer_metrics"].append(result | {"alpha": float(x[i]), "profile_key": "k"})
        for count in (count for count in COUNTS if count > i):
            for name, y in list(sides.items())[: 4 if count in (3, 4, 13, 43, 200) else 2]:
                number = {"snapshot": "s", "metric": "acc", "dataset": f"{name} {count}", "value": float(y[i])}
                raw["reported_metrics"].append(base | number | {"source": "s"})
    with warehouse(raw) as connection:
        rows = answer(connection, "FROM regress('alpha', 'acc', smallest := 3) WHERE \"group\" = 'one'")
    assert len(rows) == 2 * len(COUNTS) + 2 * 5
    for row in rows:
        name, count = row["dataset"].split()
        line = stats.linregress(x[: int(count)], sides[name][: int(count)])
        half = line.stderr * stats.t.ppf(0.975, int(count) - 2)
        assert row["slope_low"] == pytest.approx(line.slope - half, rel=1e-7, abs=1e-8)
        assert row["slope_high"] == pytest.approx(line.slope + half, rel=1e-7, abs=1e-8)
        if name != "all":
            assert row["slope_p"] == pytest.approx(line.pvalue, rel=1e-8)
        else:  # 1 - R2 is rounding by then
            assert row["slope_p"] == pytest.approx(line.pvalue, rel=1e-4, abs=1e-290)
