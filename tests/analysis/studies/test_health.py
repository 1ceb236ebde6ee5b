"""Health and collapse of made-up layers against the definitions in plain numpy, at and beside every bound."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.studies.oracle import near
from zoospectra.analysis.studies import collapse, health, noise
from zoospectra.analysis.studies.record import Cell

BOUNDS = {"alpha": (6.0, 2.0), "D": (0.2,), "num_pl_spikes": (10,), "stable_rank": (1.5,)}
LITERATURE = {
    "under-trained": ("alpha", 6.0, 1),
    "over-trained": ("alpha", 2.0, -1),
    "poor fit": ("D", 0.2, 1),
    "short tail": ("num_pl_spikes", 10, -1),
    "rank collapse": ("stable_rank", 1.5, -1),
    "noise": ("excess", 0.02, -1),
    "scale": ("scale_z", 3.5, 0),
}


def layers(models: int, seed: int) -> list[dict]:
    """Two profiles; 4 dense layers a model, 3 to 6 convolutions; a third of the numbers at a bound, some missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for profile, model in ((p, m) for p in ("p", "q") for m in range(models)):
        kinds = [("dense", 1)] * 4 + [("conv2d", 9)] * int(rng.integers(3, 7)) + [(None, None)]
        for i, (kind, rf) in enumerate(kinds):
            row = {"profile": profile, "model_id": f"m{model}", "longname": f"l{i}", "layer_type": kind, "rf": rf}
            row |= {"N": 64 + i, "M": 32, "num_evals": 32, "outcome": "fit", "status": "success"}
            row |= {"alpha": rng.uniform(1.5, 8), "D": rng.uniform(0, 0.4), "num_pl_spikes": int(rng.integers(5, 30))}
            row |= {"stable_rank": rng.uniform(1, 9), "log_spectral_norm": rng.normal(0, 0.2)}
            row |= {"max_rand_eval": rng.choice([None, 1.0]), "by_slice": profile == "q", "log_norm": rng.normal()}
            if rng.random() < 0.1:
                row["log_spectral_norm"] += 4.0 * rng.choice([-1, 1])
            for name, bounds in BOUNDS.items():
                if rng.random() < 0.3:
                    row[name] = bounds[rng.integers(len(bounds))]
                elif rng.random() < 0.1:
                    row[name] = None
            if rng.random() < 0.1 or model == 2:
                row |= {"outcome": "failed", "status": f"failed: {i}"}
            rows.append(row)
    return rows


def scale(row: dict) -> float | None:
    """log10 of the root mean square entry: lam_max times the stable rank is the sum of squares."""
    if row["stable_rank"] is None:
        return None
    return math.log10(math.sqrt(10 ** row["log_spectral_norm"] * row["stable_rank"] / (row["num_evals"] * row["N"])))


def excess(row: dict) -> float | None:
    if scale(row) is None:
        return None
    if row["max_rand_eval"]:
        return math.log10(10 ** row["log_spectral_norm"] / row["max_rand_eval"])
    slices = (row["rf"] or 1) if row["by_slice"] else 1
    edge = slices * 10 ** (2 * scale(row)) * (math.sqrt(row["N"]) + math.sqrt(row["M"])) ** 2
    return row["log_spectral_norm"] - math.log10(edge)


def of_kind(row: dict) -> tuple:
    return row["profile"], row["layer_type"], row["rf"]


def z_scores(rows: list[dict]) -> dict[tuple, float]:
    """(model, layer) -> robust z among the layers of its kind in its model, where these are at least five."""
    kinds = defaultdict(list)
    for row in rows:
        if scale(row) is not None:
            kinds[of_kind(row), row["model_id"]].append(row)
    found = {}
    for members in kinds.values():
        values = np.array([scale(row) for row in members])
        spread = 1.4826 * np.median(np.abs(values - np.median(values)))
        if len(members) >= 5:
            found |= {(r["model_id"], r["longname"]): (scale(r) - np.median(values)) / spread for r in members}
    return found


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
        ordered = sorted(tests, key=lambda check: tests[check][0])
        holm = 0.0
        for i, check in enumerate(ordered):
            holm = min(1.0, max(holm, (len(ordered) - i) * tests[check][0]))
            row = f"{profile} / d / e / {check}"
            assert cells["HEALTH_CHECKS", row, "p, Holm"].value == pytest.approx(holm)
            worse = tests[check][2] * (1 if seed % 2 else -1)
            assert cells["HEALTH_CHECKS", row, "flagged are worse"].value == pytest.approx(worse)
        assert len([c for c in found.cells if c.table_id == "HEALTH_CHECKS" and c.row.startswith(profile)]) == 2 * len(
            tests
        )
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


@pytest.mark.parametrize("seed", range(3))
def test_collapse_within_agrees_with_its_definition(seed: int) -> None:
    rows = [row for row in layers(6, seed) if row["profile"] == "p" or row["model_id"] != "m5"]
    for limits in (collapse.Thresholds(), collapse.Thresholds(robust_z=0.5, share=0.95)):
        found = collapse.run({"measured": rows}, collapse.Options(thresholds=limits))
        expected, few, kinds = {}, 0, defaultdict(list)
        for row in rows:
            if scale(row) is not None:
                kinds[of_kind(row), row["model_id"]].append(row)
        for members in kinds.values():
            scales = np.array([scale(row) for row in members])
            spread = 1.4826 * np.median(np.abs(scales - np.median(scales)))
            few += len(members) < 5
            for row, value in zip(members, scales, strict=True):
                sampling = 1 / math.log(10) / math.sqrt(2 * row["N"] * row["M"] * (row["rf"] or 1))
                z = (value - np.median(scales)) / max(spread, sampling)
                ratio = 10 ** (value - np.median(scales))
                if len(members) >= 5 and z < -limits.robust_z and ratio < limits.share:
                    label = f"{row['profile']} / {row['model_id']} / {row['longname']}"
                    of = {None: "unknown", "dense": "dense", "conv2d": "conv2d, 9 slices"}[row["layer_type"]]
                    expected[label] = (value, ratio, z, excess(row)), len(members), of
        whole = []
        for label, ((value, ratio, z, above), count, of) in expected.items():
            columns = {"log10 rms entry": value, "rms entry over kind's": ratio, "robust z": z}
            columns["log10 largest eigenvalue over shuffled copy's"] = above
            why = f"its entries are {ratio:.2g} of the median of {count} layers of its kind ({of})"
            whole += [
                Cell("COLLAPSE_WITHIN", label, word, v, count, None, "collapsed", why) for word, v in columns.items()
            ]
        assert list(found.cells) == near(whole)
        assert list(found.design) == [
            {"model_id": row["model_id"], "longname": row["longname"], "excluded_by": None} for row in rows
        ]
        assert expected or limits.robust_z > 1
        for profile, models in (("p", 6), ("q", 5)):
            hit = [row.split(" / ") for row in expected if row.startswith(f"{profile} /")]
            count = len({model for _, model, _ in hit})
            assert f"{profile}: {len(hit)} collapsed layers in {count} of {models} models" in found.notes
        assert f"{few} kinds of layers are too few to compare (fewer than 5)" in found.notes


def test_equal_scales_flag_nothing_by_rounding_and_one_beyond_its_sampling_error_is_told() -> None:
    base = {"profile": "p", "model_id": "m", "layer_type": "dense", "rf": 1, "N": 64, "M": 32, "num_evals": 32}
    base |= {"stable_rank": 4.0, "by_slice": False}
    rows = [base | {"longname": f"l{i}", "log_spectral_norm": 1e-14 * i} for i in range(6)]
    assert collapse.run({"measured": rows}, collapse.Options()).cells == ()
    rows[3]["log_spectral_norm"] = -1.0
    found = collapse.run({"measured": rows}, collapse.Options())
    assert {cell.row for cell in found.cells} == {"p / m / l3"}


@pytest.mark.parametrize("seed", range(3))
def test_collapse_between_agrees_with_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for profile in ("p", "q"):
        for model in ("old", "new", "other"):
            for i in range(9):
                row = {"profile": profile, "model_id": model, "longname": f"l{i if model != 'new' else i + 1}"}
                row |= {"log_norm": rng.normal(), "alpha": None if rng.random() < 0.2 else rng.normal(3, 1)}
                row |= {"log_spectral_norm": 1.0 if i != 4 or model == "old" else rng.choice([-2.0, 3.0])}
                rows.append(row)
    claims = {"log_norm": "base larger", "alpha": "base smaller"}
    limits = collapse.Thresholds(robust_z=1.5)
    options = collapse.Options(model="new", base="old", claims=claims, thresholds=limits)
    found = collapse.run({"measured": rows}, options)
    assert [(row["model_id"], row["longname"]) for row in found.design] == [
        (row["model_id"], row["longname"]) for row in rows if row["model_id"] != "other"
    ]
    of = {(r["profile"], r["model_id"], r["longname"]): r for r in rows}
    whole, notes = [], []
    for profile in ("p", "q"):
        notes.append(f"{profile}: 8 layers in both; change is new minus old")
        for metric in ("log_norm", "log_spectral_norm", "alpha"):
            pairs = [
                (f"l{i}", of[profile, "new", f"l{i}"][metric], of[profile, "old", f"l{i}"][metric]) for i in range(1, 9)
            ]
            pairs = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
            changes = np.array([a - b for _, a, b in pairs])
            spread = 1.4826 * np.median(np.abs(changes - np.median(changes)))
            far = []
            for (name, *_), change in zip(pairs, changes, strict=True):
                z = (change - np.median(changes)) / spread if spread else None
                verdict = None if z is None or abs(z) <= 1.5 else "moved up" if change > 0 else "moved down"
                far += [f"{name} ({change:+.3g})"] if verdict else []
                row, count = f"{profile} / {name}", len(pairs)
                whole.append(Cell("COLLAPSE", row, f"{metric} change", change, count, verdict=verdict))
                why = None if z is not None else "the other layers do not move at all"
                whole.append(Cell("COLLAPSE", row, f"{metric} robust z", z, count, None, verdict, why))
            if far:
                notes.append(f"{profile}: {metric} moved far from the other layers: {', '.join(far)}")
            new, old = np.mean([a for _, a, _ in pairs]), np.mean([b for *_, b in pairs])
            verdict = "base larger" if old > new else "base smaller"
            reason = None
            if metric in claims:
                right = claims[metric] == verdict
                reason = "as claimed" if right else f"the text says {claims[metric]}: the direction is reversed"
                notes.append(f"{profile}: mean {metric} {old:.3f} in the base, {new:.3f} in the model; {reason}")
            for side, value in (("base", old), ("model", new)):
                row = f"{profile} / mean {metric}"
                whole.append(Cell("COLLAPSE_MEANS", row, side, value, len(pairs), None, verdict, reason))
    assert list(found.cells) == near(whole)
    assert list(found.notes) == notes


def test_collapse_refuses_half_of_a_question() -> None:
    designs = {"measured": layers(2, 0)}
    for words, message in (
        ({"claims": {"alpha": "base larger"}}, "claims=.*expected base=GLOB"),
        ({"base": "m0"}, "base=m0: expected model=GLOB"),
        ({"claims": {"x": "base larger"}}, "claims=x: expected some of"),
        ({"claims": {"alpha": "x"}}, "claims.alpha=x: expected some of"),
        ({"model": "x"}, "model=x: matches no model"),
        ({"model": "m*", "base": "m0"}, "model=m\\*: matches 2 models with layers, expected one: m0, m1"),
        ({"profile": "x"}, "profile=x: expected some of p, q"),
    ):
        with pytest.raises(ValueError, match=message):
            collapse.run(designs, collapse.Options(**words))
    found = collapse.run(designs, collapse.Options(model="m1", profile="q"))
    assert {(row["model_id"]) for row in found.design} == {"m1"}
    assert len(found.design) == sum(r["model_id"] == "m1" and r["profile"] == "q" for r in designs["measured"])


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


@pytest.mark.parametrize(("times", "far"), [(3.47, False), (3.53, True)])
def test_a_layer_beyond_the_sampling_error_of_its_size_collapsed(times: float, far: bool) -> None:
    base = {"profile": "p", "model_id": "m", "layer_type": "dense", "rf": 1, "N": 64, "M": 32, "num_evals": 32}
    base |= {"stable_rank": 4.0, "by_slice": False}
    rows = [base | {"longname": f"l{i}", "log_spectral_norm": 0.0} for i in range(6)]
    sampling = 1 / math.log(10) / math.sqrt(2 * 64 * 32)
    rows[3]["log_spectral_norm"] = -2 * times * sampling
    limits = collapse.Thresholds(share=0.999)
    found = collapse.run({"measured": rows}, collapse.Options(thresholds=limits))
    z = [cell.value for cell in found.cells if cell.column == "robust z"]
    assert z == ([pytest.approx(-times)] if far else [])


@pytest.mark.parametrize(("layer_type", "rf", "text", "count"), [
    ("dense", 1, "dense", 6), ("conv2d", 2, "conv2d, 2 slices", 12), (None, None, "unknown", 6),
    ("dense", 0, "dense", 6),
])  # fmt: skip
def test_the_kind_of_a_layer(layer_type: str | None, rf: int | None, text: str, count: int) -> None:
    row = {"profile": "p", "layer_type": layer_type, "rf": rf, "N": 3, "M": 2}
    assert str(noise.kind(row)) == text
    assert noise.entries(row) == count
    row |= {"log_spectral_norm": 1.0, "stable_rank": 2.0, "num_evals": 4, "by_slice": True, "max_rand_eval": 0.0}
    assert noise.entry_scale(row) == pytest.approx(0.5 * math.log10(10 * 2 / (4 * 3)))
    edge = max(rf or 1, 1) * 10 * 2 / (4 * 3) * (math.sqrt(3) + math.sqrt(2)) ** 2
    assert noise.excess(row) == pytest.approx(math.log10(10 / edge))
    assert noise.excess(row | {"max_rand_eval": 20.0}) == pytest.approx(math.log10(10 / 20))
    for gap in ({"log_spectral_norm": None}, {"stable_rank": None}, {"stable_rank": 0.0}, {"num_evals": 0}):
        assert noise.entry_scale(row | gap) is None
        assert noise.excess(row | gap | {"max_rand_eval": 20.0}) is None


def test_a_layer_at_a_bound_is_not_beyond_it() -> None:
    rows = layers(6, 0)
    loose = collapse.Thresholds(robust_z=0.5, share=0.95)
    found = collapse.run({"measured": rows}, collapse.Options(thresholds=loose)).cells
    row = found[0].row
    z, ratio = (
        next(c.value for c in found if (c.row, c.column) == (row, n)) for n in ("robust z", "rms entry over kind's")
    )
    for limits in (replace(loose, robust_z=-z), replace(loose, share=ratio)):
        at = collapse.run({"measured": rows}, collapse.Options(thresholds=limits)).cells
        assert row not in {cell.row for cell in at}
    beside = replace(loose, robust_z=math.nextafter(-z, 0), share=math.nextafter(ratio, 1))
    assert row in {cell.row for cell in collapse.run({"measured": rows}, collapse.Options(thresholds=beside)).cells}


@pytest.mark.parametrize(("rise", "verdict"), [(1, "moved down"), (-1, "moved up")])
def test_a_layer_that_stayed_where_the_others_moved(rise: int, verdict: str) -> None:
    changes = [0.0, *(rise * change for change in (5.0, 6.0, 7.0, 5.5, 6.5))]
    both = [{"profile": "p", "model_id": m, "longname": f"l{i}", "log_norm": c if m == "new" else 0.0}
            for m in ("new", "old") for i, c in enumerate(changes)]  # fmt: skip

    def moved(limit: float) -> list[str | None]:
        options = collapse.Options(model="new", base="old", thresholds=collapse.Thresholds(robust_z=limit))
        cells = collapse.run({"measured": both}, options).cells
        return [cell.verdict for cell in cells if cell.column == "log_norm change"]

    (z, *_) = collapse.robust_z(changes)
    assert moved(abs(z)) == [None] * 6
    assert moved(math.nextafter(abs(z), 0)) == [verdict, *[None] * 5]


def test_robust_z_scores_at_their_edges() -> None:
    assert collapse.robust_z([]) == []
    edge = 1e-12 / 1.4826
    assert 1.4826 * edge == 1e-12
    assert collapse.robust_z([-edge, 0.0, edge]) == [None] * 3
    assert collapse.robust_z([1.0, 1.0, 1.0, 2.0]) == [None] * 4
    tiny = [0.0, 1.0e-12, 2.0e-12]  # a spread beyond one part in 1e12 of the centre, or of 1, is one
    assert collapse.robust_z(tiny) == [pytest.approx(z / 1.4826) for z in (-1, 0, 1)]
    assert collapse.robust_z([0.0, 0.6e-12, 1.2e-12]) == [None] * 3
    assert collapse.robust_z([100.0, 100.0 + 5e-11, 100.0 + 1e-10]) == [None] * 3
    assert collapse.robust_z([100.0, 100.0 + 8e-11, 100.0 + 1.6e-10])[0] == pytest.approx(-1 / 1.4826, rel=1e-3)
    assert collapse.robust_z([-100.0, -100.0 + 5e-11, -100.0 + 1e-10]) == [None] * 3


def test_collapse_of_models_that_share_nothing() -> None:
    rows = [{"profile": "p", "model_id": m, "longname": f"{m}{i}", "log_norm": 1.0} for m in "ab" for i in range(6)]
    found = collapse.run({"measured": rows}, collapse.Options(model="a", base="b"))
    assert (found.cells, found.notes) == ((), ("p: a and b share no layer names",))
    shared = [row | {"longname": row["longname"][1:]} for row in rows]
    found = collapse.run({"measured": shared}, collapse.Options(model="a", base="b"))
    means = [cell for cell in found.cells if cell.table_id == "COLLAPSE_MEANS"]
    assert [(cell.row, cell.verdict) for cell in means] == [("p / mean log_norm", "base smaller")] * 2
    many = [row | {"model_id": f"m{i}"} for i, row in enumerate(rows[:7])]
    with pytest.raises(ValueError, match=r"matches 7 models with layers, expected one: m0, m1, m2, m3, m4$"):
        collapse.run({"measured": many}, collapse.Options(model="m*", base="m0"))
