"""Health of made-up layers against the definitions in plain numpy, at and beside every bound."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.studies.made_layers import excess, layers, of_kind, z_scores
from tests.analysis.studies.oracle import near
from zoospectra.analysis.studies import health
from zoospectra.analysis.studies.record import Cell

LITERATURE = {
    "under-trained": ("alpha", 6.0, 1),
    "over-trained": ("alpha", 2.0, -1),
    "poor fit": ("D", 0.2, 1),
    "short tail": ("num_pl_spikes", 10, -1),
    "rank collapse": ("stable_rank", 1.5, -1),
    "noise": ("excess", 0.02, -1),
    "scale": ("scale_z", 3.5, 0),
}


@dataclass(frozen=True)
class Seen:
    """A layer that a check looks at."""

    row: dict
    """The layer."""
    value: float
    """What the check looks at."""
    limit: float
    """The literature's bound, or what 99 % of 40 or more layers of its kind keep to."""
    hit: bool
    """Whether the value lies beyond it."""


def seen(rows: list[dict], check: str) -> dict[str, list[Seen]]:
    """Model -> layers that the check looks at."""
    column, bound, wrong = LITERATURE[check]
    scores = z_scores(rows)
    computed = {"excess": excess, "scale_z": lambda row: scores.get((row["model_id"], row["longname"]))}
    values = [(row, computed.get(column, lambda row: row[column])(row)) for row in rows]
    kinds = defaultdict(list)
    for row, value in values:
        if value is not None:
            kinds[of_kind(row)].append(abs(value) if wrong == 0 else value)
    found = defaultdict(list)
    for row, value in values:
        if value is None:
            continue
        own, limit = kinds[of_kind(row)], bound
        if len(own) >= 40 and check != "noise":
            usual = np.quantile(own, 0.01 if wrong < 0 else 0.99)
            limit = min(limit, usual) if wrong < 0 else max(limit, usual)
        hit = value < limit if wrong < 0 else abs(value) > limit if wrong == 0 else value > limit
        found[row["model_id"]].append(Seen(row, value, limit, hit))
    return found


def assert_checks_are(cells: dict[tuple, Cell], profile: str, tests: dict[str, tuple], sign: int) -> None:
    """Holm's p-values, and by how much the flagged are worse, of (p, effect) a check: these cells and no others."""
    ordered = sorted(tests, key=lambda check: tests[check][0])
    holm = 0.0
    for i, check in enumerate(ordered):
        holm = min(1.0, max(holm, (len(ordered) - i) * tests[check][0]))
        row = f"{profile} / d / e / {check}"
        assert cells["HEALTH_CHECKS", row, "p, Holm"].value == pytest.approx(holm)
        worse = tests[check][2] * sign
        assert cells["HEALTH_CHECKS", row, "flagged are worse"].value == pytest.approx(worse)
    assert len([key for key in cells if key[0] == "HEALTH_CHECKS" and key[1].startswith(profile)]) == 2 * len(tests)


@pytest.mark.parametrize(("models", "seed"), [(9, 0), (10, 1), (10, 2), (14, 3)])
def test_health_agrees_with_its_definition(models: int, seed: int) -> None:
    rows = layers(models, seed)
    damaged = ("a", None, "b", "c", "d", "e")
    broken = [{"model_id": "m1", "tensor": t, "reason": "truncated"} for t in damaged]
    rng = np.random.default_rng(seed)
    values = {f"m{m}": float(v) for m, v in enumerate(rng.permutation(models))}
    reported = [
        {"model_id": m, "dataset": "d", "metric": "e", "value": v, "higher_is_better": seed % 2}
        for m, v in values.items()
    ]
    designs = {"measured": rows, "skipped": broken, "reported": reported}
    found = health.run(designs, health.Options(model="m*"))
    cells = {(c.table_id, c.row, c.column): c for c in found.cells}
    for profile in ("p", "q"):
        own = [row for row in rows if row["profile"] == profile]
        tests = {}
        expected = {model: [] for model in values}
        flagged_layers = {model: [] for model in values}
        for check, (column, bound, _) in LITERATURE.items():
            looks = seen(own, check)
            hits = {model: [one for one in each if one.hit] for model, each in looks.items()}
            rate = np.mean([bool(each) for each in hits.values()]) if len(hits) >= 10 else None
            says, source = health.CHECKS[check].says, health.CHECKS[check].source
            for model in values:
                flagged, row = hits.get(model, []), f"{profile} / {model} / {check}"
                common = rate is not None and rate >= 0.5
                verdict = "fine" if not flagged else "common" if common else "look at it"
                why = f"{says}; threshold {bound:g} ({source}), or what is usual for the kind"
                if common:
                    why = f"flagged in {rate:.0%} of the models here, so it says nothing about this one; {why}"
                cell = Cell("HEALTH", row, "layers", len(flagged), len(looks.get(model, [])), None, verdict, why)
                few = "fewer than 10 models in the warehouse: no base rate"
                base = replace(cell, column="base rate", value=rate, reason=why if rate is not None else few)
                expected[model] += [cell, base]
                flagged_layers[model] += [
                    Cell(
                        "HEALTH_LAYERS", f"{profile} / {model} / {one.row['longname']}", column, one.value, 32,
                        verdict=check, reason=f"beyond {one.limit:.3g}: {says}",
                    )
                    for one in flagged
                ]  # fmt: skip
            hit, other = ([values[m] for m, layers in hits.items() if bool(layers) is side] for side in (True, False))
            if len(hits) >= 10 and hit and other:
                tests[check] = (
                    stats.mannwhitneyu(hit, other, method="asymptotic").pvalue,
                    np.sign(sum(np.sign(b - a) for a in hit for b in other)),
                    sum(np.sign(b - a) for a in hit for b in other) / len(hit) / len(other),
                )
        assert_checks_are(cells, profile, tests, 1 if seed % 2 else -1)
        for model in values:
            failed = [f"{row['longname']}: {row['status']}" for row in own
                      if row["model_id"] == model and row["outcome"] == "failed"]  # fmt: skip
            count = sum(row["model_id"] == model for row in own)
            words = "look at it" if failed else "fine"
            label, why = f"{profile} / {model} / failed fits", "; ".join(failed[:5]) or None
            ends = [Cell("HEALTH", label, "layers", len(failed), count, None, words, why)]
            why = "; ".join(f"{t or 'the whole model'}: truncated" for t in damaged[:5]) if model == "m1" else None
            ends.append(
                Cell("HEALTH", f"{profile} / {model} / damaged tensors", "layers", 6.0 if why else 0.0, reason=why)
            )
            ends[1] = replace(ends[1], verdict="look at it" if why else "fine")
            whole = [cell for cell in found.cells if f"{cell.row} / ".startswith(f"{profile} / {model} / ")]
            assert whole == near([*expected[model], *flagged_layers[model], *ends])
            looked = [
                c.row.split(" / ")[2] for c in found.cells
                if c.row.startswith(f"{profile} / {model} /") and c.verdict == "look at it" and c.column == "layers"
            ]  # fmt: skip
            words = f"look at {', '.join(looked)}" if looked else "nothing to object to"
            assert f"{profile} / {model}: {words}" in found.notes
    one = health.run(designs, health.Options(model="m1", profile="q"))
    assert {c.row[:6] for c in one.cells if c.table_id == "HEALTH"} == {"q / m1"}
    assert {(row["model_id"], row["profile"]) for row in one.design} == {("m1", "q")}
    assert [c for c in one.cells if c.table_id == "HEALTH"] == [
        c for c in found.cells if c.table_id == "HEALTH" and c.row.startswith("q / m1 /")
    ]


@pytest.mark.parametrize(("hit", "higher", "verdict"), [
    (range(8), True, "goes with quality"), (range(8), False, "goes the wrong way"),
    (range(8, 16), False, "goes with quality"), (range(0, 16, 2), True, "predicts nothing here"),
])  # fmt: skip
def test_whether_flags_go_with_quality(hit: range, higher: bool, verdict: str) -> None:
    base = {"profile": "p", "longname": "l", "layer_type": "dense", "rf": 1, "N": 8, "M": 4, "num_evals": 4}
    base |= {"outcome": "fit", "status": "success", "by_slice": False, "log_spectral_norm": None, "stable_rank": None}
    rows = [base | {"model_id": f"m{i}", "alpha": 7.0 if i in hit else 3.0} for i in range(16)]
    reported = [
        {"model_id": f"m{i}", "dataset": "d", "metric": "e", "value": i, "higher_is_better": higher} for i in range(16)
    ]
    found = health.run({"measured": rows, "skipped": [], "reported": reported}, health.Options())
    assert {c.verdict for c in found.cells if c.table_id == "HEALTH_CHECKS"} == {verdict}
    idle = "p / d / e: flags that do not go with it here: under-trained"
    assert (idle in found.notes) is (verdict != "goes with quality")


def test_health_refuses_what_is_not_there() -> None:
    designs = {"measured": layers(2, 0), "skipped": [], "reported": []}
    with pytest.raises(ValueError, match="model=x: matches no model"):
        health.run(designs, health.Options(model="x"))
    with pytest.raises(ValueError, match="profile=x: expected some of p, q"):
        health.run(designs, health.Options(profile="x"))


@pytest.mark.parametrize("models", [20, 21])
def test_many_models_are_told_check_by_check(models: int) -> None:
    base = {"profile": "p", "layer_type": "dense", "rf": 1, "N": 8, "M": 4, "num_evals": 4, "by_slice": False}
    base |= {"outcome": "fit", "status": "success", "log_spectral_norm": None, "stable_rank": None, "longname": "l"}
    rows = [
        base | {"model_id": f"m{i:02d}", "alpha": 7.0 if i < 5 else 3.0, "D": 0.3 if 3 < i < 10 else 0.1}
        for i in range(models)
    ]
    rows[19] |= {"outcome": "failed"}
    notes = health.run({"measured": rows, "skipped": [], "reported": []}, health.Options()).notes
    if models == 20:
        words = ["under-trained"] * 4 + ["under-trained, poor fit"] + ["poor fit"] * 5 + [None] * 9 + ["failed fits"]
        told = [f"look at {word}" if word else "nothing to object to" for word in words]
        assert notes == tuple(f"p / m{i:02d}: {word}" for i, word in enumerate(told))
    else:
        assert notes == (
            "p: nothing to object to in 10 of 21 models",
            "p: look at under-trained in 5: m00, m01, m02, m03, m04",
            "p: look at poor fit in 6: m04, m05, m06, m07, m08 and 1 more",
            "p: look at failed fits in 1: m19",
        )


def test_flags_of_one_check_go_with_quality_and_of_another_do_not() -> None:
    base = {"profile": "p", "layer_type": "dense", "rf": 1, "N": 8, "M": 4, "num_evals": 4, "by_slice": False}
    base |= {"outcome": "fit", "status": "success", "log_spectral_norm": None, "stable_rank": None, "longname": "l"}
    good, weak = {*range(8)}, {0, 1, 2, 3, 4, 7, 10, 15}
    rows = [
        base | {"model_id": f"m{i}", "alpha": 7.0 if i in good else 3.0, "D": 0.3 if i in weak else 0.1}
        for i in range(16)
    ]
    reported = [
        {"model_id": f"m{i}", "dataset": "d", "metric": "e", "value": i, "higher_is_better": True} for i in range(16)
    ]
    found = health.run({"measured": rows, "skipped": [], "reported": reported}, health.Options())
    p = [
        stats.mannwhitneyu(
            [i for i in range(16) if i in hit], [i for i in range(16) if i not in hit], method="asymptotic"
        )
        for hit in (good, weak)
    ]
    assert 2 * p[0].pvalue < 0.05 < p[1].pvalue < 0.075
    cells = {(c.row, c.column): (c.value, c.n, c.verdict) for c in found.cells if c.table_id == "HEALTH_CHECKS"}
    expected = {}
    for name, test, share, verdict in (
        ("under-trained", 2 * p[0].pvalue, 1.0, "goes with quality"),
        ("poor fit", p[1].pvalue, 1 - 2 * p[1].statistic / 64, "predicts nothing here"),
    ):
        row = f"p / d / e / {name}"
        expected[row, "flagged are worse"] = (pytest.approx(share), 16, verdict)
        expected[row, "p, Holm"] = (pytest.approx(test), 16, verdict)
    assert cells == expected
    assert "p / d / e: flags that do not go with it here: poor fit" in found.notes
