"""The study of two models' layers compared whole, and what it refuses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tests.analysis.studies.oracle import near
from zoospectra.analysis.statistics.two_samples import two_samples
from zoospectra.analysis.studies import pair
from zoospectra.analysis.studies.record import Cell


def layers_of_three(seed: int) -> list[dict]:
    """Layers of models a and b under p, and of a, b and c under q."""
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
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_pair(seed: int) -> None:
    rows = layers_of_three(seed)
    options = pair.Options(model="a", other="b", shuffles=999, seed=seed)
    found = pair.run({"layers": rows}, options)
    parts: dict[str, list[list[float]]] = {}
    for profile, (side, model) in itertools.product("pq", enumerate("ab")):
        mine = [r for r in rows if (r["model_id"], r["profile"]) == (model, profile)]
        counted = [r for r in mine if r["counted"]]
        names = [("all layers", counted)]
        names += [(f"{word} third", []) for word in ("first", "middle", "last")]
        parts |= {f"{profile} / {name}": parts.get(f"{profile} / {name}", [[], []]) for name, _ in names}
        for i, row in enumerate(counted):
            third = ("first", "middle", "last")[i * 3 // len(counted)] + " third"
            for name in ("all layers", third, f"type {row['layer_type'] or 'unknown'}"):
                parts.setdefault(f"{profile} / {name}", [[], []])[side].append(row["alpha"])
        for row in mine:
            if row["group"] is not None:
                parts.setdefault(f"{profile} / role {row['group']}", [[], []])[side].append(row["alpha"])
    expected, notes, few = [], [], []
    for profile in "pq":
        own = {row: sides for row, sides in parts.items() if row.startswith(profile)}
        tests = {
            row: two_samples(a, b, shuffles=999, seed=seed) for row, (a, b) in own.items() if min(len(a), len(b)) >= 4
        }
        adjusted = dict(zip(tests, stats.false_discovery_control([t.p for t in tests.values()]), strict=True))
        for row, (a, b) in own.items():
            why = f"too few layers: {len(a)} and {len(b)}, at least 4 are needed of each"
            missing = row not in tests
            words = {"verdict": "too few layers", "reason": why} if missing else {}
            expected.append(Cell("PAIR", row, "layers", len(a), len(a), **words))
            expected.append(Cell("PAIR", row, "layers, other", len(b), len(b)))
            if missing:
                few.append(row)
                continue
            table = [[sum(v > 6 for v in side), sum(v <= 6 for v in side)] for side in (a, b)]
            distance, shift, test = stats.ks_2samp(a, b), float(np.median(a) - np.median(b)), tests[row]
            values = {
                "median": np.median(a), "median, other": np.median(b), "shift of median": shift,
                "permutation p": test.p, "permutation p, adjusted": adjusted[row],
                "Hodges-Lehmann shift": np.median([x - y for x in a for y in b]), "shift low": test.low,
                "shift high": test.high, "KS distance": distance.statistic, "KS p": distance.pvalue,
                "share above 6": np.mean(np.array(a) > 6), "share above 6, other": np.mean(np.array(b) > 6),
                "share p": stats.fisher_exact(table).pvalue,
            }  # fmt: skip
            verdict = "undetermined" if adjusted[row] >= 0.05 else "higher" if shift > 0 else "lower"
            for column, value in values.items():
                why = "so few layers have no 95 % interval" if value is None else None
                said = verdict if column == "shift of median" else None
                expected.append(Cell("PAIR", row, column, value, len(a) + len(b), None, said, why))
            ends = f"{shift:+.3f} (a minus b; adjusted p {adjusted[row]:.2g})"
            notes.append(f"{row}: median alpha {verdict}, {ends}")
    assert list(found.cells) == near(expected)
    assert few
    notes.append(f"fewer than 4 layers with a fit in either model: {', '.join(few)}")
    assert list(found.notes) == notes
    part = "part of a fused matrix: counts by role only"
    assert list(found.design) == [
        {name: r[name] for name in ("model_id", "profile", "layer_id", "longname", "alpha")}
        | {"excluded_by": None if r["counted"] else part}
        for r in rows
        if r["model_id"] != "c"
    ]
    only = pair.run({"layers": rows}, pair.Options(profile="p", shuffles=999, seed=seed))  # the two models of p
    assert list(only.cells) == [c for c in found.cells if c.row.startswith("p")]


def test_models_that_are_no_pair_are_named() -> None:
    rows = layers_of_three(0)
    assert pair.run({"layers": rows}, pair.Options()).notes[0].startswith("3 models have layers with a fit")
    many = [row | {"model_id": f"m{i}"} for i, row in enumerate(rows[:7])]
    for glob, some in (("m*", "m0, m1, m2, m3, m4"), ("x", "m0, m1, m2, m3, m4")):
        with pytest.raises(ValueError, match=f"expected one: {some}$"):
            pair.run({"layers": many}, pair.Options(model=glob, other="m1"))
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


@pytest.mark.parametrize("largest", [0.0, -1.0, math.inf, math.nan])
def test_an_outlier_lies_above_a_number(largest: float) -> None:
    assert pair.Options(largest=0.5).largest == 0.5
    with pytest.raises(ValueError, match=f"largest={largest}: expected an alpha above 0"):
        pair.Options(largest=largest)


@pytest.mark.parametrize(("p", "shift", "verdict"), [
    (0.05, 1.0, "undetermined"), (0.049, 1.0, "higher"), (0.049, 0.5, "higher"), (0.049, -0.5, "lower")
])  # fmt: skip
def test_the_verdict_of_a_pair(p: float, shift: float, verdict: str) -> None:
    cells = [Cell("PAIR", "r", word, value) for word, value in (("shift of median", shift), ("permutation p", p))]
    found = pair._adjusted([*cells, Cell("PAIR", "s", "layers", 2.0)])
    assert [(cell.column, cell.value, cell.verdict) for cell in found] == [
        ("shift of median", shift, verdict), ("permutation p", p, None), ("permutation p, adjusted", p, None),
        ("layers", 2.0, None),
    ]  # fmt: skip
