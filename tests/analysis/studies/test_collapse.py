"""Collapse within a model and between two, compared whole, and exactly at its thresholds."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.studies.made_layers import excess, layers, of_kind, scale
from tests.analysis.studies.oracle import near
from zoospectra.analysis.studies import collapse, noise
from zoospectra.analysis.studies.record import Cell


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
