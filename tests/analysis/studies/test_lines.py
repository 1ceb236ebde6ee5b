"""Tables of lines, whole: every cell with its number of models, reason and basis, against scipy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.studies.oracle import adjusted, line, near, statistics
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.clustered import clustered
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.studies import alpha_hat, flow, independence, lines
from zoospectra.analysis.studies.lines import Point
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.target import Target


def points(count: int, seed: int, missing: tuple[int, ...] = (), silent: tuple[int, ...] = ()) -> list[Point]:
    """Points without a metric at `missing` and without a target at `silent`, of two origins and one unknown."""
    a, b, y = np.random.default_rng(seed).normal(3, 1, (3, count)).tolist()
    return [
        Point(
            f"m{i}",
            {"a": None if i in missing else a[i]} | ({"b": b[i]} if i != 1 else {}),
            None if i in silent else y[i],
            ("weights", "layer rows", None)[i % 3],
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("smallest", [3, 4, 5])
def test_a_table_of_lines(smallest: int) -> None:
    groups = {f"s{n}": points(n, n) for n in (2, 3, 4, 5)}
    groups |= {"holes": points(8, 8, missing=(0, 2), silent=(2, 3)), "few": points(6, 6, missing=(0, 1, 2))}
    groups["silent"] = points(6, 9, silent=(0, 1, 2))
    found = lines.grouped("T", groups, {"a": "A", "b": "B"}, smallest=smallest)
    expected = []
    for row, own in groups.items():
        known = sum(point.y is not None for point in own)
        if known < smallest:
            why = f"too few models: {known} with the reported metric, at least {smallest} are needed"
            expected.append(Cell("T", row, "models", None, known, None, "too few models", why))
            continue
        basis = "layer rows and weights"
        for name in "ab":
            x, y = [point.x.get(name) for point in own], [point.y for point in own]
            expected += line("T", row, name.upper(), x, y, smallest=smallest, basis=basis)
    assert found == near(adjusted(expected))


def test_a_line_of_four_models_without_asking() -> None:
    assert lines.line(points(4, 0), "a").slope == pytest.approx(statistics(*lines.pairs(points(4, 0), "a"))["slope"])
    assert lines.line(points(3, 0), "a").slope is None
    assert lines.cells("T", "r", "", points(4, 0), "a")[3].value is not None
    (few,) = lines.grouped("T", {"r": points(3, 0)}, {"a": "A"})
    assert few.verdict == "too few models"
    assert lines.basis([Point("m", {}, 1.0)]) is None


def test_p_values_are_adjusted_over_their_own_table() -> None:
    cells = [Cell(table, f"r{i}", "slope p x", p) for table in "TU" for i, p in enumerate((0.01, 0.02, None, 0.9))]
    cells.insert(2, Cell("T", "r", "slope", 1.0))
    assert lines.adjusted(cells) == near(adjusted(cells))


def test_lines_with_families_have_the_clustered_numbers_too() -> None:
    rng = np.random.default_rng(0)
    x, y, family = rng.normal(size=20).tolist(), rng.normal(size=20).tolist(), [i // 2 for i in range(20)]
    own = [Point(f"m{i}", {"a": x[i]}, y[i], None, family[i] if i else None) for i in range(20)]
    found = lines.cells("T", "r", "A", own, "a")
    assert found[:10] == near(line("T", "r", "A", x, y))
    labels = [None, *family[1:]]
    robust, drawn, random = clustered(x, y, labels), slope_interval(x, y, clusters=labels), mixed(x, y, labels)
    assert robust.clusters == 11
    values = {
        "families": 11.0, "effective models": robust.effective, "clustered slope p": robust.p,
        "clustered slope low": robust.low, "clustered slope high": robust.high, "clustered bootstrap low": drawn.low,
        "clustered bootstrap high": drawn.high, "kin effect slope": random.slope, "kin effect p": random.p,
    }  # fmt: skip
    assert None not in values.values()
    assert found[10:] == [Cell("T", "r", f"{word} A", value, 20) for word, value in values.items()]
    assert len(lines.cells("T", "r", "A", own[:3], "a")) == 10  # too few for any
    few = independence.clustered_cells("T", "r", "", x[:4], y[:4], [0, 0, 1, 1])
    reasons = {cell.column: (cell.value is None, cell.reason) for cell in few}
    assert reasons["families"] == (False, None)
    assert reasons["clustered slope p"] == (True, clustered(x[:4], y[:4], [0, 0, 1, 1]).reason)
    assert reasons["clustered bootstrap low"] == (
        slope_interval(x[:4], y[:4], clusters=[0, 0, 1, 1]).low is None,
        slope_interval(x[:4], y[:4], clusters=[0, 0, 1, 1]).reason,
    )


def test_each_model_counts_once_in_a_line() -> None:
    target = Target("d", "e", True, {}, {"m3": "m1", "m2": "m1", "m5": "x", "m4": "x"})
    assert [point.name for point in lines.once(points(6, 0), target)] == ["m0", "m1", "m4"]


def some_layers(seed: int) -> tuple[list[dict], list[dict], list[dict]]:
    """A row a model for lines, what the catalog says, and what is reported; series of 6, 4, 3 and none."""
    rng = np.random.default_rng(seed)
    ids = [f"m{i:02d}" for i in range(15)]
    series = [*"xxxxxxyyyyzzz", None, None]
    reported = [
        {"model_id": name, "dataset": "d", "metric": "e", "value": float(rng.normal()), "higher_is_better": True}
        | {"double_of": "m06" if name == "m09" else None}
        for name in ids
    ]
    catalog = [{"model_id": name, "series": label} for name, label in zip(ids, series, strict=True)]
    base = {"profile": "p", "basis": "weights"}
    rows = [base | row for row in catalog]
    return rows, catalog, reported


def few(table: str, row: str, known: int, smallest: int) -> Cell:
    why = f"too few models: {known} with the reported metric, at least {smallest} are needed"
    return Cell(table, row, "models", None, known, None, "too few models", why)


@pytest.mark.parametrize("smallest", [3, 4])
def test_variants_of_alpha_hat_against_quality(smallest: int) -> None:
    rows, catalog, reported = some_layers(1)
    rng = np.random.default_rng(1)
    names = {
        "alpha_hat": "alpha-hat", "alpha_hat_sum": "alpha-hat as a sum", "log_alpha_norm": "log alpha-norm",
        "log_alpha_norm_without_exponent": "log |X|_alpha", "log_spectral_norm": "log spectral norm",
    }  # fmt: skip
    averages = [row | {name: float(rng.normal()) for name in names} for row in rows]
    designs = {"layers": [], "averages": averages, "reported": reported, "catalog": catalog}
    found = alpha_hat.run(designs, alpha_hat.Options(smallest=smallest))
    kept = [i for i, row in enumerate(rows) if row["model_id"] != "m09"]  # the second name of m06
    groups = {label: [i for i in kept if rows[i]["series"] == label] for label in ("x", "y", "z", None)}
    groups = {f"p / d / e / {label or 'no series'}": own for label, own in groups.items()}
    expected = []
    for row, own in (groups | {"p / d / e / POOLED": kept}).items():
        if len(own) < smallest:
            expected.append(few("ALPHA_HAT", row, len(own), smallest))
            continue
        y = [reported[i]["value"] for i in own]
        for name, label in names.items():
            x = [averages[i][name] for i in own]
            expected += line("ALPHA_HAT", row, label, x, y, smallest=smallest, basis="weights")
    assert list(found.cells) == near(adjusted(expected))
    assert found.notes == ()
    assert [row["model_id"] for row in found.design if row["excluded_by"]] == ["m09"]
    assert alpha_hat.run(designs | {"reported": []}, alpha_hat.Options()).notes == (
        "no model has a reported metric: no lines",
    )
    nothing = alpha_hat.run(designs | {"averages": []}, alpha_hat.Options())
    assert (nothing.cells, nothing.notes) == ((), ("no layer with a fit",))
    with pytest.raises(ValueError, match="profile=q: expected some of p"):
        alpha_hat.run(designs, alpha_hat.Options(profile="q"))


@pytest.mark.parametrize("smallest", [3, 4])
def test_flow_against_quality(smallest: int) -> None:
    rows, _, reported = some_layers(2)
    rng = np.random.default_rng(2)
    columns = ("slope", "dispersion", "median", "mad", "roughness", "outliers", "largest")
    rows = [row | {"layers": 3 + i % 4} | {name: float(rng.normal()) for name in columns} for i, row in enumerate(rows)]
    rows[0]["layers"] = 2
    rows[1] |= {"slope": np.nan, "mad": None, "outliers": 0.0}
    found = flow.run({"flow": rows, "reported": reported}, flow.Options(smallest=smallest))
    expected = []
    groups = {"no series": [13, 14], "x": [1, 2, 3, 4, 5], "y": [6, 7, 8], "z": [10, 11, 12]}
    for label, own in groups.items():
        row = f"p / d / e / {label}"
        if len(own) < smallest:
            expected.append(few("FLOW_SERIES", row, len(own), smallest))
            continue
        y = [reported[i]["value"] for i in own]
        for name in columns:
            x = [None if i == 1 and name in ("slope", "mad") else rows[i][name] for i in own]
            expected += line("FLOW_SERIES", row, name, x, y, smallest=smallest, basis="weights")
    assert [cell for cell in found.cells if cell.table_id == "FLOW_SERIES"] == near(adjusted(expected))
    hit = sum(row["outliers"] > 0 for row in rows)
    assert found.notes == (
        f"p: {hit} of 15 models have layers with alpha above 6",
        *(f"{cell.row}: {cell.reason}" for cell in expected if cell.verdict),
    )
    assert len(found.design) == 15
