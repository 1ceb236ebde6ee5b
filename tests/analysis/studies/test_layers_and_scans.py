"""Drift, pair, flow, convention, kin and the gap of alpha-hat of made-up rows against their definitions."""

from __future__ import annotations

import datetime
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.studies.oracle import near
from zoospectra.analysis.statistics.rank_agreement import rank_agreement
from zoospectra.analysis.studies import alpha_hat, convention, drift, flow, kin
from zoospectra.analysis.studies.record import Cell


def day(number: float) -> datetime.datetime:
    return datetime.datetime(2026, 11, 1) + datetime.timedelta(days=number)


@pytest.mark.parametrize("since", [None, 0, 1, 2, 3])
def test_drift(since: int | None) -> None:
    rng = np.random.default_rng(0)
    models, averages = [], []
    for i in range(40):
        seen = sorted(int(v) for v in rng.integers(0, 4, 2))
        revisions = int(rng.integers(1, 4))
        for nth in range(1, revisions + 1):
            row = {"model_id": f"m{i}", "revision": f"r{nth}", "nth": nth, "revisions": revisions}
            row |= {
                "latest": nth == revisions,
                "first_seen": day(seen[0]),
                "last_seen": day(seen[1]),
                "zoo_seen": day(3),
            }
            if i % 13 == 12:  # known by its layers alone
                row |= {"first_seen": None, "last_seen": None, "zoo_seen": None}
            models.append(row)
            for profile in ("p", "q"):
                if rng.random() < 0.8:
                    row = {
                        "model_id": f"m{i}",
                        "revision": f"r{nth}",
                        "profile": profile,
                        "layers": int(rng.integers(9)),
                    }
                    averages.append(row | {name: rng.choice([None, rng.normal()]) for name in drift.METRICS})
    reported = []
    for i in range(60):
        values = rng.integers(0, 3, int(rng.integers(2, 4))).tolist()
        base = {"model_id": f"m{i}", "dataset": rng.choice(["d", None]), "metric": "e", "higher_is_better": bool(i % 2)}
        reported += [base | {"value": v, "first_seen": day(j)} for j, v in enumerate(values)]
    skipped = [{"model_id": "m0", "tensor": tensor, "reason": "truncated"} for tensor in ("t", None)]
    designs = {"models": models, "averages": averages, "reported": reported, "skipped": skipped}
    options = drift.Options() if since is None else drift.Options(since=f"2026-11-{since + 1:02d}T00:00:00+00:00")
    found = drift.run(designs, options)
    told: dict[str, list[dict]] = {"new": [], "gone": [], "retrained": []}
    for row in models:
        recent = since is None or (row["first_seen"] is not None and row["first_seen"] >= day(since))
        if row["latest"]:
            if row["last_seen"] is not None and row["last_seen"] < day(3):
                told["gone"].append(row)
            if recent:
                told["new" if row["revisions"] == 1 else "retrained"].append(row)
    expected = [
        Cell("DRIFT_MODELS", row["model_id"], "revisions", row["revisions"], verdict=word)
        for word, rows in told.items()
        for row in rows
    ]
    of = {(r["profile"], r["model_id"], r["revision"]): r for r in averages}
    for row, profile in itertools.product(told["retrained"], ("p", "q")):
        new, old = (of.get((profile, row["model_id"], f"r{row['revisions'] - back}")) for back in (0, 1))
        for name in drift.METRICS if new and old else ():
            known = new[name] is not None and old[name] is not None
            change = new[name] - old[name] if known else None
            why = None if known else "one of the revisions has no fit"
            label = f"{profile} / {row['model_id']}"
            expected.append(Cell("DRIFT_METRICS", label, f"{name} change", change, new["layers"], reason=why))
    turned = 0
    for rows in [[r for r in reported if r["model_id"] == f"m{i}"] for i in range(60)]:
        at = max((j for j in range(1, len(rows)) if rows[j]["value"] != rows[j - 1]["value"]), default=0)
        change = rows[at]["value"] - rows[at - 1]["value"] if at else 0
        if change and (since is None or at >= since):
            better = "better" if (change > 0) is rows[-1]["higher_is_better"] else "worse"
            label = f"{rows[0]['model_id']} / {rows[0]['dataset'] or ''} / e"
            expected.append(Cell("DRIFT_REPORTED", label, "change", change, verdict=better))
            turned += 1
    for tensor in ("t", "the whole model"):
        expected.append(Cell("DRIFT_FAILED", f"m0 / {tensor}", "failed", 1.0, reason="truncated"))
    profiles = list(dict.fromkeys(r["profile"] for r in averages))
    assert sorted(profiles) == ["p", "q"]
    assert sorted(found.cells, key=str) == sorted(expected, key=str)
    assert list(dict.fromkeys(c.table_id for c in found.cells)) == list(dict.fromkeys(c.table_id for c in expected))
    counts = [f"{len(told['new'])} new models", f"{len(told['gone'])} gone", f"{len(told['retrained'])} retrained"]
    assert found.notes == (", ".join([*counts, f"{turned} reported numbers changed", "2 tensors or models fail"]),)
    assert list(found.design) == [
        {"model_id": r["model_id"], "revision": r["revision"], "excluded_by": None} for r in models
    ]


def test_each_source_of_a_number_changes_by_itself() -> None:
    values = {
        ("m", "d", "paper", "2019"): (1.0, 2.0), ("m", "d", "web", None): (5.0, 4.0, 4.0),
        ("m", "d", None, "2020"): (1.0, 0.5), ("m", None, "paper", "2019"): (3.0, 5.0),
        ("n", "d", "web", None): (1.0, 1.0), ("n", "d", "paper", None): (2.0, 1.0),
    }  # fmt: skip
    reported = [
        {"model_id": model, "dataset": dataset, "source": source, "source_date": date, "metric": "e", "value": value}
        | {"higher_is_better": True, "first_seen": day(i)}
        for (model, dataset, source, date), series in values.items()
        for i, value in enumerate(series)
    ]
    designs = {"models": [], "averages": [], "reported": reported, "skipped": []}

    def changes(**words: str) -> list[tuple]:
        return [(c.row, c.value, c.verdict) for c in drift.run(designs, drift.Options(**words)).cells]

    assert changes() == changes(since="2026-11-02") == [
        ("m / d / e / paper / 2019", 1.0, "better"), ("m / d / e / web", -1.0, "worse"),
        ("m / d / e / 2020", -0.5, "worse"), ("m /  / e", 2.0, "better"), ("n / d / e / paper", -1.0, "worse"),
    ]  # fmt: skip
    assert changes(since="2026-11-03") == []  # what stayed since then did not change


@pytest.mark.parametrize(("since", "new"), [
    ("2026-11-02", 1), ("2026-11-02T01:00:00+01:00", 1), ("2026-11-02T01:00:00+00:00", 0),
    ("2026-11-02T00:00:00.000001", 0), ("2026-11-01T23:00:00-01:00", 1),
])  # fmt: skip
def test_times_are_those_of_utc(since: str, new: int) -> None:
    model = {"model_id": "m", "revision": "r", "nth": 1, "revisions": 1, "latest": True, "first_seen": day(1)}
    model |= {"last_seen": day(1), "zoo_seen": day(1)}
    designs = {"models": [model], "averages": [], "reported": [], "skipped": []}
    assert len(drift.run(designs, drift.Options(since=since)).cells) == new
    with pytest.raises(ValueError, match="since=soon: expected a time such as 2026-11-21"):
        drift.Options(since="soon")


def test_flow() -> None:
    rng = np.random.default_rng(0)
    rows, reported = [], []
    for i in range(24):
        row = {"model_id": f"m{i}", "profile": "pq"[i % 2], "series": ("x", None)[i // 2 % 2], "basis": "weights"}
        row |= {"layers": 1 + i % 6, "slope": rng.normal(), "dispersion": rng.random(), "median": rng.normal(4, 1)}
        row |= {"mad": rng.random(), "roughness": rng.random(), "largest": rng.normal(6, 1)}
        row["outliers"] = rng.integers(0, 2) / row["layers"]
        if i == 20:
            row["slope"] = math.nan
        rows.append(row)
        reported.append(
            {"model_id": f"m{i}", "dataset": "d", "metric": "e", "value": rng.normal(), "higher_is_better": True}
        )
    found = flow.run({"flow": rows, "reported": reported}, flow.Options())
    cells = {(c.table_id, c.row, c.column): c for c in found.cells}
    for row in rows:
        for name in flow.COLUMNS:
            cell = cells["FLOW", f"{row['profile']} / {row['model_id']}", name]
            few = row["layers"] < 3
            none = few or math.isnan(row[name])
            assert cell.value == (None if none else row[name])
            count = round(row["outliers"] * row["layers"])
            word = "steady" if not count else f"{count} of {row['layers']} layers under-trained"
            assert cell.verdict == ("too few layers" if few else word)
            why = (
                f"{row['layers']} layers, at least 3 are needed"
                if few
                else "not defined for these layers"
                if none
                else None
            )
            assert cell.reason == why
    for profile in "pq":
        mine = [row for row in rows if row["profile"] == profile]
        hit = sum(row["outliers"] > 0 for row in mine)
        assert f"{profile}: {hit} of {len(mine)} models have layers with alpha above 6" in found.notes
        for series in ("x", None):
            own = [r for r in mine if r["series"] == series and r["layers"] >= 3]
            label = f"{profile} / d / e / {series or 'no series'}"
            y = {row["model_id"]: row["value"] for row in reported}
            for name in ("median", "largest") if len(own) >= 4 else ():
                points = [(r[name], y[r["model_id"]]) for r in own]
                line = cells["FLOW_SERIES", label, f"R2 {name}"]
                assert line.n == len(points)
                assert line.value == pytest.approx(stats.pearsonr(*zip(*points, strict=True)).statistic ** 2)
            if own and len(own) < 4:
                assert cells["FLOW_SERIES", label, "models"].n == len(own)
    assert (
        flow.run({"flow": rows, "reported": []}, flow.Options()).notes[-1].startswith("no model has a reported metric")
    )


@pytest.mark.parametrize("seed", range(2))
def test_convention(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for profile in "pqr":
        for i in range(16 if profile != "r" else 3):
            row = {"profile": profile, "model_id": f"m{i:02d}", "series": ("x", "y", None, "x")[i % 4], "D": None}
            row |= {"alpha": float(rng.integers(0, 9)), "log_norm": float(rng.integers(0, 9)) if i < 3 else None}
            rows.append(row)
    catalog = [{"model_id": f"m{i:02d}", "double_of": "m00" if i == 15 else None} for i in range(16)]
    rows[6]["alpha"] = None
    found = convention.run({"averages": rows, "catalog": catalog}, convention.Options(metrics=["alpha", "log_norm"]))
    both = [f"m{i:02d}" for i in range(15) if i != 6]
    x, y = ([r["alpha"] for r in rows if r["profile"] == p and r["model_id"] in both] for p in "pq")
    series = [("x", "y", "no series", "x")[int(model[1:]) % 4] for model in both]

    def cells(table: str, row: str, end: str, a: list, b: list, groups: list | None = None) -> list[Cell]:
        one = rank_agreement(a, b, groups)
        values = {"tau": one.tau, "tau low": one.low, "tau high": one.high, "pairs swapped": one.swapped}
        return [Cell(table, row, word + end, value, one.n, reason=one.reason if value is None else None)
                for word, value in values.items()]  # fmt: skip

    tau = stats.kendalltau(x, y).statistic
    swapped = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(zip(x, y, strict=True), 2))
    expected = cells("CONVENTION", "p / q / alpha", "", x, y)
    assert [cell.value for cell in expected if "tau l" not in cell.column and "tau h" not in cell.column] == [
        pytest.approx(tau),
        swapped,
    ]
    moves = np.abs(stats.rankdata(x) - stats.rankdata(y))
    expected.append(Cell("CONVENTION", "p / q / alpha", "largest move", moves.max(), 14))
    expected += cells("CONVENTION", "p / q / alpha", " within series", x, y, series)
    for name in ("no series", "x", "y"):
        own = [i for i, label in enumerate(series) if label == name]
        if len(own) >= 4:
            row = f"p / q / {name} / alpha"
            expected += cells("CONVENTION_SERIES", row, "", [x[i] for i in own], [y[i] for i in own])
    few = "3 models have it under both, at least 4 are needed"
    expected.append(Cell("CONVENTION", "p / q / log_norm", "tau", None, 3, None, "too few models", few))
    assert list(found.cells) == near(expected)
    assert found.notes == (
        f"p / q / alpha: tau {tau:.3f} over 14 models, {swapped} pairs change places; "
        f"{both[int(np.argmax(moves))]} moves most, by {moves.max():g} of 14 ranks",
        "p / r: 3 models in both, at least 4 are needed",
        "q / r: 3 models in both, at least 4 are needed",
    )
    assert list(found.design) == [
        {"model_id": r["model_id"], "profile": r["profile"]}
        | {"excluded_by": "the same model as m00" if r["model_id"] == "m15" else None}
        for r in rows
    ]
    alike = [row | {"alpha": float(int(row["model_id"][1:]))} for row in rows if row["series"] == "x"]
    same = convention.run({"averages": alike, "catalog": []}, convention.Options(metrics=["alpha"]))
    assert {cell.table_id for cell in same.cells} == {"CONVENTION"}  # one series is all of them
    assert same.notes[0] == "p / q / alpha: tau 1.000 over 8 models, 0 pairs change places"
    still = convention.run(
        {"averages": [row | {"alpha": 1.0} for row in alike], "catalog": []}, convention.Options(metrics=["alpha"])
    )
    assert [note for note in still.notes if "alpha" in note] == []
    assert still.cells[0].reason == "x or y is constant"
    three = convention.run({"averages": rows, "catalog": catalog}, convention.Options(smallest=3, metrics=["log_norm"]))
    assert next(c for c in three.cells if (c.row, c.column) == ("p / q / log_norm", "tau")).n == 3
    (whole,) = (c for c in three.cells if (c.row, c.column) == ("p / q / log_norm", "largest move"))
    assert whole.n == 3
    with pytest.raises(ValueError, match="metrics=model_id: expected some of alpha, log_norm"):
        convention.run({"averages": rows, "catalog": catalog}, convention.Options(metrics=["model_id"]))
    assert [c.n for c in three.cells if (c.row, c.column) == ("q / r / log_norm", "tau")] == [3]
    assert not [note for note in three.notes if "are needed" in note]
    two = convention.run({"averages": [r for r in alike if r["profile"] != "r"], "catalog": []}, convention.Options())
    assert [note for note in two.notes if "profiles" in note] == []
    one = convention.run({"averages": rows, "catalog": []}, convention.Options(profiles=["p"]))
    assert one.notes == ("1 profiles: refit the warehouse under another, zoospectra refit profiles=NAME",)


def test_kin() -> None:
    families = [1, 1, 1, 2, 3, 3]
    models = [{"model_id": f"m{i}", "family": family} for i, family in enumerate(families)]
    pairs = [{"verdict": v, "cosine": c} for v, c in (("copy", 0.5), ("copy", None), ("copy", 0.9), ("tuned", None))]
    found = kin.run({"kin": models, "kinship": pairs}, kin.Options())
    worth = 36 / (9 + 1 + 4)
    assert found.notes == (f"6 models of 3 families, worth {worth:.1f} where those of a family are one",)
    assert [row["excluded_by"] for row in found.design] == [None] * 6
    assert [cell.n for cell in found.cells] == [3, 3, 1, 1, 3, 2, 6, 6, 6]
    few = kin.run({"kin": models, "kinship": []}, kin.Options(smallest=3))
    assert [cell.row for cell in few.cells] == ["family 1: m0", "all", "all", "all"]
    with pytest.raises(ValueError, match="study=kin: expected families in the warehouse"):
        kin.run({"kin": [], "kinship": pairs}, kin.Options())
    cells = {(c.table_id, c.row, c.column): c.value for c in found.cells}
    assert cells == {
        ("KIN_VERDICTS", "copy", "pairs"): 3.0, ("KIN_VERDICTS", "copy", "median cosine"): 0.7,
        ("KIN_VERDICTS", "tuned", "pairs"): 1.0, ("KIN_VERDICTS", "tuned", "median cosine"): None,
        ("KIN_FAMILIES", "family 1: m0", "models"): 3.0, ("KIN_FAMILIES", "family 3: m4", "models"): 2.0,
        ("KIN_ZOO", "all", "models"): 6.0, ("KIN_ZOO", "all", "families"): 3.0,
        ("KIN_ZOO", "all", "effective models"): pytest.approx(36 / (9 + 1 + 4)),
    }  # fmt: skip


def test_the_gap_of_alpha_hat() -> None:
    rng = np.random.default_rng(0)
    layers = []
    for i in range(60):
        row = {
            "profile": "pq"[i % 2],
            "model_id": "m",
            "longname": f"l{i}",
            "alpha": float(rng.choice([1.5, 2, 3, 4, 5])),
        }
        row |= {
            "alpha_weighted": rng.normal(),
            "log_alpha_norm": rng.normal(),
            "num_evals": rng.choice([None, 1, 2, 10, 100]),
        }
        if row["alpha"] == 1.5:
            row["num_evals"] = rng.choice([None, 1])
        if i % 6 == 1:
            row["alpha"] = 7.0
        layers.append(row)
    designs = {"layers": layers, "averages": [{"profile": "p"}], "reported": [], "catalog": []}
    found = alpha_hat.run(designs, alpha_hat.Options())
    ranges = {"alpha < 2": (0, 2), "2 <= alpha < 4": (2, 4), "4 <= alpha < 6": (4, 6), "alpha >= 6": (6, 99)}
    expected, notes = [], []
    for profile in "pq":
        for name, (low, high) in ranges.items():
            own = [r for r in layers if r["profile"] == profile and low <= r["alpha"] < high]
            label = f"{profile} / {name}"
            gaps = [r["log_alpha_norm"] - r["alpha_weighted"] for r in own]
            if not own:
                why = "no layer in this range"
                expected.append(Cell("ALPHA_HAT_GAP", label, "median gap", None, 0, reason=why))
                continue
            values = {"median gap": np.median(gaps), "gap, 10 %": np.quantile(gaps, 0.1)}
            values |= {"gap, 90 %": np.quantile(gaps, 0.9), "largest gap": max(gaps)}
            expected += [Cell("ALPHA_HAT_GAP", label, word, value, len(own)) for word, value in values.items()]
            shares = [
                g / math.log10(r["num_evals"]) for g, r in zip(gaps, own, strict=True) if r["num_evals"] in (2, 10, 100)
            ]
            share, why = float(np.median(shares)) if shares else None, "no layer says how many eigenvalues it has"
            cell = Cell("ALPHA_HAT_GAP", label, "median share of log10 K", share, len(shares))
            expected.append(cell if shares else replace(cell, reason=why))
        gaps = [r["log_alpha_norm"] - r["alpha_weighted"] for r in layers if r["profile"] == profile]
        notes.append(f"{profile}: log alpha-norm minus alpha-hat: median {np.median(gaps):.3g} over 30 layers")
    assert list(found.cells) == near(expected)
    assert list(found.notes) == [*notes, "no model has a reported metric: no lines"]
    one = alpha_hat.run(designs | {"averages": [{"profile": "p"}, {"profile": "q"}]}, alpha_hat.Options(profile="q"))
    assert list(one.cells) == [c for c in found.cells if c.row.startswith("q / ")]
    for edges in ([2.0, 2.0], [], [3.0, 2.0], [1.0, math.inf]):
        with pytest.raises(ValueError, match="edges="):
            alpha_hat.Options(edges=edges)
    assert [c.row for c in alpha_hat.run(designs, alpha_hat.Options(edges=[2.5])).cells[::5]] == [
        f"{profile} / alpha {side} 2.5" for profile in "pq" for side in ("<", ">=")
    ]
