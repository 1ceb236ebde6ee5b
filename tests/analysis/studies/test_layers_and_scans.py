"""Drift, pair, flow, convention, kin and the gap of alpha-hat of made-up rows against their definitions."""

from __future__ import annotations

import datetime
import math
from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.studies import alpha_hat, convention, drift, flow, kin, pair


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
    expected, retrained = set(), {}
    for row in models:
        recent = since is None or (row["first_seen"] is not None and row["first_seen"] >= day(since))
        if row["latest"]:
            if row["last_seen"] is not None and row["last_seen"] < day(3):
                expected.add((row["model_id"], "gone"))
            if recent:
                expected.add((row["model_id"], "new" if row["revisions"] == 1 else "retrained"))
            if recent and row["revisions"] > 1:
                retrained[row["model_id"]] = row["revisions"]
    assert {(c.row, c.verdict) for c in found.cells if c.table_id == "DRIFT_MODELS"} == expected
    of = {(r["profile"], r["model_id"], r["revision"]): r for r in averages}
    moved = {}
    for profile in ("p", "q"):
        for model, count in retrained.items():
            new, old = (of.get((profile, model, f"r{nth}")) for nth in (count, count - 1))
            for name in drift.METRICS if new and old else ():
                known = new[name] is not None and old[name] is not None
                change = new[name] - old[name] if known else None
                moved[f"{profile} / {model}", f"{name} change"] = (change, new["layers"], known)
    made = [c for c in found.cells if c.table_id == "DRIFT_METRICS"]
    assert {(c.row, c.column): (c.value, c.n, c.reason is None) for c in made} == moved
    turned = {}
    for rows in [[r for r in reported if r["model_id"] == f"m{i}"] for i in range(60)]:
        change = rows[-1]["value"] - rows[-2]["value"]
        if change and (since is None or len(rows) - 1 >= since):
            better = (change > 0) is rows[-1]["higher_is_better"]
            label = f"{rows[0]['model_id']} / {rows[0]['dataset'] or ''} / e"
            turned[label] = (change, "better" if better else "worse")
    assert {c.row: (c.value, c.verdict) for c in found.cells if c.table_id == "DRIFT_REPORTED"} == turned
    words = [c.verdict for c in found.cells if c.table_id == "DRIFT_MODELS"]
    counts = [
        f"{words.count('new')} new models",
        f"{words.count('gone')} gone",
        f"{words.count('retrained')} retrained",
    ]
    assert found.notes == (", ".join([*counts, f"{len(turned)} reported numbers changed", "2 tensors or models fail"]),)


@pytest.mark.parametrize("seed", range(3))
def test_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for model, profile in (("a", "p"), ("b", "p"), ("a", "q"), ("b", "q"), ("c", "q")):
        for i in range(int(rng.integers(11, 15))):
            row = {"model_id": model, "profile": profile, "layer_id": i, "longname": f"l{i}"}
            row |= {"layer_type": rng.choice(["dense", "conv2d", None]), "counted": bool(rng.random() < 0.8)}
            row |= {
                "group": rng.choice(["q", "k", None]),
                "alpha": float(np.round(rng.normal(5 + 2 * (model == "a"), 1))),
            }
            rows.append(row)
    options = pair.Options(model="a", other="b", shuffles=999, seed=seed)
    found = pair.run({"layers": rows}, options)
    cells = {(c.row, c.column): c for c in found.cells}
    parts: dict[str, list[list[float]]] = {}
    for side, model in enumerate("ab"):
        for profile in "pq":
            mine = [r for r in rows if (r["model_id"], r["profile"]) == (model, profile)]
            counted = [r for r in mine if r["counted"]]
            for i, row in enumerate(counted):
                third = ("first", "middle", "last")[i * 3 // len(counted)] + " third"
                for name in ("all layers", third, f"type {row['layer_type'] or 'unknown'}"):
                    parts.setdefault(f"{profile} / {name}", [[], []])[side].append(row["alpha"])
            for row in mine:
                if row["group"] is not None:
                    parts.setdefault(f"{profile} / role {row['group']}", [[], []])[side].append(row["alpha"])
    assert {row for row, _ in cells} == parts.keys()
    for row, (a, b) in parts.items():
        assert (cells[row, "layers"].value, cells[row, "layers, other"].value) == (len(a), len(b))
        if min(len(a), len(b)) < 4:
            assert cells[row, "layers"].verdict == "too few layers"
            assert (row, "median") not in cells
            continue
        assert cells[row, "layers"].verdict is None
        assert cells[row, "shift of median"].value == np.median(a) - np.median(b)
        assert cells[row, "Hodges-Lehmann shift"].value == np.median([x - y for x in a for y in b])
        assert cells[row, "share above 6"].value == np.mean(np.array(a) > 6)
        assert cells[row, "share above 6, other"].value == np.mean(np.array(b) > 6)
        table = [[sum(v > 6 for v in side), sum(v <= 6 for v in side)] for side in (a, b)]
        assert cells[row, "share p"].value == pytest.approx(stats.fisher_exact(table).pvalue)
        assert cells[row, "KS p"].value == pytest.approx(stats.ks_2samp(a, b).pvalue)
        assert cells[row, "median"].n == len(a) + len(b)
    for profile in "pq":
        tested = [row for row in parts if row.startswith(profile) and (row, "median") in cells]
        p = [cells[row, "permutation p"].value for row in tested]
        for row, q in zip(tested, stats.false_discovery_control(p), strict=True):
            assert cells[row, "permutation p, adjusted"].value == pytest.approx(q)
            shift = cells[row, "shift of median"].value
            verdict = "undetermined" if q >= 0.05 else "higher" if shift > 0 else "lower"
            assert cells[row, "shift of median"].verdict == verdict
            assert any(n.startswith(f"{row}: median alpha {verdict}, {shift:+.3f} (a minus b;") for n in found.notes)
    few = [row for row in parts if cells[row, "layers"].verdict]
    named = [note.removeprefix("fewer than 4 layers with a fit in either model: ") for note in found.notes]
    assert sorted(few) in [sorted(note.split(", ")) for note in named]
    assert {row["model_id"] for row in found.design} == {"a", "b"}
    assert [row["excluded_by"] is None for row in found.design] == [r["counted"] for r in rows if r["model_id"] != "c"]
    only = pair.run({"layers": rows}, pair.Options(profile="p", shuffles=999, seed=seed))  # the two models of p
    assert list(only.cells) == [c for c in found.cells if c.row.startswith("p")]
    assert pair.run({"layers": rows}, pair.Options()).notes[0].startswith("3 models have layers with a fit")
    for words, message in (
        ({"model": "a", "other": "x"}, "other=x: matches 0 models"),
        ({"model": "[ab]", "other": "b"}, "model=.*matches 2 models with a fit, expected one: a, b"),
        ({"profile": "x"}, "profile=x: expected some of p, q"),
        ({"model": "a"}, "both or neither"),
        ({"smallest": 3}, "smallest=3: expected at least 4"),
        ({"shuffles": 98}, "shuffles=98: expected at least 99"),
    ):
        with pytest.raises(ValueError, match=message):
            pair.run({"layers": rows}, pair.Options(**words))


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
    found = convention.run({"averages": rows, "catalog": catalog}, convention.Options(metrics=["alpha", "log_norm"]))
    cells = {(c.table_id, c.row, c.column): c for c in found.cells}
    x, y = ({r["model_id"]: r["alpha"] for r in rows if r["profile"] == p and r["model_id"] != "m15"} for p in "pq")
    a, b = list(x.values()), [y[model] for model in x]
    whole = cells["CONVENTION", "p / q / alpha", "tau"]
    assert (whole.value, whole.n) == (pytest.approx(stats.kendalltau(a, b).statistic), 15)
    swapped = sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for i in range(15) for j in range(i))
    assert cells["CONVENTION", "p / q / alpha", "pairs swapped"].value == swapped
    moves = np.abs(stats.rankdata(a) - stats.rankdata(b))
    assert cells["CONVENTION", "p / q / alpha", "largest move"].value == moves.max()
    assert any(
        f"m{int(np.argmax(moves)):02d} moves most, by {moves.max():g} of 15 ranks" in note for note in found.notes
    )
    series = {r["model_id"]: r["series"] or "no series" for r in rows}
    groups = defaultdict(list)
    for i, model in enumerate(x):
        groups[series[model]].append(i)
    same = [(i, j) for own in groups.values() for i in own for j in own if i != j]
    signs = np.array([(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in same])
    tau = (signs[:, 0] @ signs[:, 1]) / math.sqrt(np.abs(signs[:, 0]).sum() * np.abs(signs[:, 1]).sum())
    assert cells["CONVENTION", "p / q / alpha", "tau within series"].value == pytest.approx(tau)
    for name, own in groups.items():
        label = f"p / q / {name} / alpha"
        if len(own) < 4:
            assert ("CONVENTION_SERIES", label, "tau") not in cells
        else:
            expected = stats.kendalltau([a[i] for i in own], [b[i] for i in own]).statistic
            assert cells["CONVENTION_SERIES", label, "tau"].value == pytest.approx(expected)
    assert cells["CONVENTION", "p / q / log_norm", "tau"].verdict == "too few models"
    assert "p / r: 3 models in both, at least 4 are needed" in found.notes
    left = [row for row in found.design if row["excluded_by"]]
    assert [row["excluded_by"] for row in left] == ["the same model as m00"] * 2
    three = convention.run({"averages": rows, "catalog": catalog}, convention.Options(smallest=3, metrics=["log_norm"]))
    assert next(c for c in three.cells if (c.row, c.column) == ("p / q / log_norm", "tau")).n == 3
    one = convention.run({"averages": rows, "catalog": []}, convention.Options(profiles=["p"]))
    assert one.notes == ("1 profiles: refit the warehouse under another, zoospectra refit profiles=NAME",)


def test_kin() -> None:
    families = [1, 1, 1, 2, 3, 3]
    models = [{"model_id": f"m{i}", "family": family} for i, family in enumerate(families)]
    pairs = [{"verdict": v, "cosine": c} for v, c in (("copy", 0.5), ("copy", None), ("copy", 0.9), ("tuned", None))]
    found = kin.run({"kin": models, "kinship": pairs}, kin.Options(smallest=2))
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
            "num_evals": rng.choice([None, 1, 10, 100]),
        }
        layers.append(row)
    designs = {"layers": layers, "averages": [{"profile": "p"}], "reported": [], "catalog": []}
    found = alpha_hat.run(designs, alpha_hat.Options())
    cells = {(c.row, c.column): c for c in found.cells}
    ranges = {"alpha < 2": (0, 2), "2 <= alpha < 4": (2, 4), "4 <= alpha < 6": (4, 6), "alpha >= 6": (6, 99)}
    for profile in "pq":
        for name, (low, high) in ranges.items():
            own = [r for r in layers if r["profile"] == profile and low <= r["alpha"] < high]
            label = f"{profile} / {name}"
            gaps = [r["log_alpha_norm"] - r["alpha_weighted"] for r in own]
            if not own:
                assert cells[label, "median gap"].reason == "no layer in this range"
                continue
            expected = [np.median(gaps), *np.quantile(gaps, [0.1, 0.9]), max(gaps)]
            words = ("median gap", "gap, 10 %", "gap, 90 %", "largest gap")
            assert [cells[label, word].value for word in words] == pytest.approx(expected)
            shares = [
                g / math.log10(r["num_evals"]) for g, r in zip(gaps, own, strict=True) if r["num_evals"] in (10, 100)
            ]
            share = cells[label, "median share of log10 K"]
            assert (share.value, share.n) == (pytest.approx(np.median(shares)), len(shares))
        gaps = [r["log_alpha_norm"] - r["alpha_weighted"] for r in layers if r["profile"] == profile]
        assert f"{profile}: log alpha-norm minus alpha-hat: median {np.median(gaps):.3g} over 30 layers" in found.notes
    with pytest.raises(ValueError, match="edges="):
        alpha_hat.Options(edges=[2.0, 2.0])
