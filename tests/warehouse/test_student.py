"""Interval and p of a line in SQL against scipy: few and many models, weak and strong slopes, p far below rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.warehouse.world import answer, warehouse


@pytest.mark.parametrize("count", [3, 4, 13, 43, 200])
def test_interval_and_p_of_a_line(count: int) -> None:
    rng = np.random.default_rng(count)
    x = rng.normal(size=count)
    sides = {
        "none": rng.normal(size=count),
        "some": x + rng.normal(size=count),
        "all": x + 0.001 * rng.normal(size=count),
    }
    sides["half"] = 0.3 * x + rng.normal(size=count)
    raw: dict[str, list[dict[str, object]]] = {"models": [], "layers": [], "layer_metrics": [], "reported_metrics": []}
    for i in range(count):
        base = {"model_id": f"m{i:03d}", "revision": "r"}
        raw["models"].append(base | {"snapshot": "s", "zoo": "z", "series": "one"})
        raw["layers"].append(base | {"layer_id": 0, "longname": "l", "layer_type": "dense", "content_hash": f"h{i}"})
        result = {"content_hash": f"h{i}", "profile": "weightwatcher", "unfold": "slices", "code_version": "1"}
        raw["layer_metrics"].append(result | {"alpha": float(x[i]), "profile_key": "k"})
        for name, y in sides.items():
            number = {"snapshot": "s", "metric": "acc", "dataset": name, "value": float(y[i]), "source": "s"}
            raw["reported_metrics"].append(base | number)
    with warehouse(raw) as connection:
        rows = answer(connection, "FROM regress('alpha', 'acc', smallest := 3) WHERE \"group\" = 'one'")
    for row in rows:
        line = stats.linregress(x, sides[row["dataset"]])
        half = line.stderr * stats.t.ppf(0.975, count - 2)
        assert row["slope_low"] == pytest.approx(line.slope - half, rel=1e-7, abs=1e-8)
        assert row["slope_high"] == pytest.approx(line.slope + half, rel=1e-7, abs=1e-8)
        if row["dataset"] != "all":
            assert row["slope_p"] == pytest.approx(line.pvalue, rel=1e-8)
        else:  # 1 - R2 is rounding by then
            assert row["slope_p"] == pytest.approx(line.pvalue, rel=1e-4, abs=1e-290)
