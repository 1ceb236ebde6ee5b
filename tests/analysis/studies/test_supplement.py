"""The paper's supplement and its guards on made-up tables, against their definitions."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.analysis.studies.oracle import adjusted, line, near
from zoospectra.analysis.studies import audit, supplement
from zoospectra.analysis.studies.lines import Point
from zoospectra.analysis.studies.record import Cell

DATASETS = ("svhn", "cifar-10", "imagenet-1k", "other")
LABELS = {
    "lognorm": "log_norm",
    "spectralnormlog": "ln",
    "alpha_weighted": "alpha_weighted",
    "logpnorm": "log_alpha_norm",
}


def published(seed: int) -> list[dict]:
    """Averages of models in 4 data sets and 3 architectures: groups of 2 to 7, some normalised, some without a norm."""
    rng = np.random.default_rng(seed)
    rows = []
    for dataset, series in itertools.product(DATASETS, ("A/B", "C", "D")):
        for i in range(int(rng.integers(2, 8))):
            row = {"name": f"osmr/{dataset}-{series[0]}-{i}", "model_id": f"{dataset}{series}{i}", "profile": "p"}
            row |= {"series": series, "dataset": dataset, "rule": "mean", "basis": "printed averages"}
            row |= {name: float(rng.normal()) for name in ("log_norm", "alpha_weighted", "log_alpha_norm")}
            top = float(rng.uniform(0.2, 9)) if rng.random() < 0.9 else float(rng.choice([0.0, -1.0]))
            row |= {"spectral_norm": top, "log_spectral_norm": float(rng.normal()), "norm": float(rng.uniform(1, 3))}
            share = float(rng.choice([0.02, 0.099, 0.1, 0.5]))  # below a tenth X was divided by N
            row["stable_rank"] = share * row["norm"] ** 2 / top if top else 1.0
            row["error"] = float(rng.uniform(5, 30)) if rng.random() < 0.9 else None
            rows.append(row)
    others = [{"name": "resnet", "series": "R"}, {"name": "osmr/none", "series": None, "dataset": "svhn", "error": 1.0}]
    return rows + [rows[0] | {"model_id": row["name"]} | row for row in others]


@dataclass(frozen=True)
class Supplement:
    """Models, and what the supplement should make of them."""

    rows: list[dict]
    """Averages of every model."""
    made: supplement.Series
    """What was made of them."""
    outliers: list[str]
    """Names that the paper leaves out."""
    groups: dict[tuple[str, str], list[dict]]
    """Data set and architecture -> its models, at least 4, without outliers."""
    draft: dict[tuple[str, str], list[dict]]
    """The same with outliers, of any size."""
    normalised: set[str]
    """Names of models whose X was divided by N."""


def name_of(row: dict) -> str:
    return row["name"].removeprefix("osmr/")


@pytest.fixture(params=range(3))
def case(request: pytest.FixtureRequest) -> Supplement:
    rows = published(request.param)
    outliers = [name_of(rows[1]), name_of(rows[9])]
    printed = {"errors": {"NC_S": "new", "DRAFT": "old"}, "outliers": outliers}
    made = supplement.series(
        rows, lambda row, date: None if row["error"] is None else row["error"] + (date == "old"), printed
    )
    groups, draft = defaultdict(list), defaultdict(list)
    for row in rows:
        if row["name"].startswith("osmr/") and row["series"] and row["error"] is not None:
            key = (row["dataset"], row["series"].split("/")[0])
            draft[key].append(row)
            if name_of(row) not in outliers:
                groups[key].append(row)
    groups = {key: own for key, own in groups.items() if len(own) >= 4}
    normalised = {
        name_of(row) for row in rows
        if row["name"].startswith("osmr/") and row["spectral_norm"]
        and row["stable_rank"] * row["spectral_norm"] / row["norm"] ** 2 < 0.1
    }  # fmt: skip
    return Supplement(rows, made, outliers, groups, dict(draft), normalised)


def test_groups_are_those_of_the_paper(case: Supplement) -> None:
    order = ["imagenet-1k", "cifar-10", "cifar-100", "svhn", "cub-200-2011", "other"]
    groups, made = case.groups, case.made
    assert list(made.final) == sorted(groups, key=lambda key: (order.index(key[0]), -len(groups[key]), key[1]))
    assert set(made.draft) == {key for key, own in case.draft.items() if len(own) >= 4}
    assert made.normalised == case.normalised
    kept = {name_of(row) for own in groups.values() for row in own}
    for row in made.design:
        name = name_of(next(r for r in case.rows if r["model_id"] == row["model_id"]))
        if name != "none":
            outlier = name in case.outliers
            why = None if name in kept else "outlier of the paper" if outlier else "group of fewer than 4 models"
            assert row["excluded_by"] == why


def test_lines_and_their_means(case: Supplement) -> None:
    cells = {(c.table_id, c.row, c.column): c for c in supplement.tables(case.made)}
    values: dict[tuple, list[float]] = defaultdict(list)
    for (dataset, name), own in case.groups.items():
        for label, column in LABELS.items():
            x = (
                [math.log(r["spectral_norm"]) if r["spectral_norm"] > 0 else None for r in own]
                if column == "ln"
                else [r[column] for r in own]
            )
            pairs = [(a, r["error"]) for a, r in zip(x, own, strict=True) if a is not None]
            if len(pairs) < 4:
                continue
            a, b = np.array(pairs).T
            fit = stats.linregress(a, b)
            rmse = math.sqrt(np.mean((b - fit.intercept - fit.slope * a) ** 2))
            for word, value in (("RMSE", rmse), ("R2", fit.rvalue**2), ("KTAU", stats.kendalltau(a, b).statistic)):
                cell = cells[f"NC_S_{word}", f"{dataset} / {name}", label]
                assert (cell.value, cell.n) == (pytest.approx(value), len(pairs))
                values[word.replace("KTAU", "tau"), label].append(value)
    for (word, label), own in values.items():
        described = pd.Series(own).describe()
        for table, numbers in (("NC_T3", described), ("NC_T3_INTENDED", pd.Series(own))):
            assert cells[table, f"{word} (mean)", label].value == pytest.approx(numbers.mean())
            assert cells[table, f"{word} (std)", label].value == pytest.approx(numbers.std())


def test_tables_of_counts(case: Supplement) -> None:
    groups, made = case.groups, case.made
    cells = {(c.table_id, c.row, c.column): c for c in supplement.tables(made)}
    names = {name for _, name in groups}
    for name in (*names, "total"):
        for dataset in ("imagenet-1k", "cifar-10", "svhn"):
            count = sum(len(own) for key, own in groups.items() if key[0] == dataset and name in (key[1], "total"))
            assert cells["NC_S_ARCH", name, dataset].value == count
    assert cells["DRAFT_T3", "caption", "168 models"].value == 6 * len(made.draft)
    for table, place in (("DRAFT_T5", 0), ("DRAFT_T6", 1)):
        for name in {key[place] for key in made.draft}:
            assert cells[table, name, "# of models"].value == 6 * sum(key[place] == name for key in made.draft)
    mixed = {key for key, own in groups.items() if any(name_of(r) in case.normalised for r in own)}
    for row, count in (
        ("as published", len(groups)), ("at least 5 models", sum(len(own) >= 5 for own in groups.values())),
        ("X = W^T W only", len(groups) - len(mixed)), ("X divided by N only", len(mixed)),
    ):  # fmt: skip
        assert cells["SENSITIVITY", row, "mean R2 lognorm"].n == count


def test_the_guard_on_normalisation(case: Supplement) -> None:
    guards = {(c.table_id, c.row): c for c in audit.normalisation(case.rows, case.made)}
    verdicts = []
    for (dataset, name), own in case.groups.items():
        count = sum(name_of(r) in case.normalised for r in own)
        verdicts.append(
            "X = W^T W" if not count else "X divided by N" if count == len(own) else "mixed within the series"
        )
        cell = guards["GUARD_NORMALISATION", f"{dataset} / {name}"]
        assert (cell.value, cell.verdict) == (count, verdicts[-1])
    whole = guards["GUARD_NORMALISATION", "all"]
    every = sum(supplement.is_normalised(row) for row in case.rows)
    assert (whole.value, whole.verdict) == (every, "mixed" if len(set(verdicts)) > 1 else "one definition")
    if len(set(verdicts)) > 1:
        assert whole.reason == f"{verdicts.count('X divided by N')} of {len(verdicts)} series have X divided by N"


def test_the_guard_on_counts(case: Supplement) -> None:
    rows, made = case.rows, case.made
    table_1 = sum(row["name"] == "resnet" for row in rows)
    final, per = sum(map(len, case.groups.values())), len(made.final)
    older = sum(len(own) for own in made.draft.values())
    claims = {
        "Table 1: R": table_1,
        "Table 3: DNNs": final,
        "Table 3 of the draft: DNNs": 6 * len(made.draft),
        "no such": 3,
    }
    counted = {c.row: (c.value, c.verdict) for c in audit.counts(rows, made, claims)}
    assert counted == {
        "Table 1: R": (table_1, "models"), "Table 3: DNNs": (final, "models"),
        "Table 3 of the draft: DNNs": (older, "models" if older == 6 * len(made.draft) else "counts regressions"),
    }  # fmt: skip
    for number, verdict in ((4 * per, "counts regressions"), (6 * per, "counts regressions"), (9999, "differs")):
        assert [c.verdict for c in audit.counts(rows, made, {"Table 3: DNNs": number})] == [verdict]


def test_the_guard_on_means(case: Supplement) -> None:
    gains = []
    means = {c.row: c for c in audit.means(case.made)}
    for (dataset, name), own in case.groups.items():
        r2 = []
        for column in ("ln", "log_spectral_norm"):
            pairs = [
                (math.log(r["spectral_norm"]) if column == "ln" else r[column], r["error"])
                for r in own
                if column != "ln" or r["spectral_norm"] > 0
            ]
            r2.append(stats.pearsonr(*zip(*pairs, strict=True)).statistic ** 2 if len(pairs) >= 4 else None)
        if None not in r2:
            gains.append(r2[1] - r2[0])
            assert means[f"{dataset} / {name}"].value == pytest.approx(gains[-1])
    verdict = "the choice matters" if abs(np.mean(gains)) > 0.02 else "the choice hardly matters"
    assert (means["mean"].value, means["mean"].verdict) == (pytest.approx(np.mean(gains)), verdict)
    assert means["mean"].reason.startswith(
        f"the mean of logarithms fits better in {sum(g > 0 for g in gains)} of {len(gains)}"
    )


def fitted(own: list[dict], label: str) -> Any:
    """Line of the error on a metric, where four models have it."""
    column = LABELS[label]
    x = [math.log(r["spectral_norm"]) if r["spectral_norm"] > 0 else None for r in own] if column == "ln" else None
    pairs = [(a, r["error"]) for a, r in zip(x or [r[column] for r in own], own, strict=True) if a is not None]
    return stats.linregress(*zip(*pairs, strict=True)) if len(pairs) >= 4 else None


def test_what_the_ranking_of_the_metrics_depends_on(case: Supplement) -> None:
    groups = case.groups
    mixed = {key for key, own in groups.items() if any(name_of(r) in case.normalised for r in own)}
    lines = {key: {label: fitted(own, label) for label in LABELS} for key, own in groups.items()}
    choices = {
        "as published": set(groups), "at least 5 models": {key for key, own in groups.items() if len(own) >= 5},
        "X = W^T W only": set(groups) - mixed, "X divided by N only": mixed,
    }  # fmt: skip
    rising = {key for key, by in lines.items() if all(one and one.slope > 0 for one in by.values())}
    choices["all four slopes positive"] = rising
    expected = []
    for row, chosen in choices.items():
        for label in LABELS:
            values = [one.rvalue**2 for key, by in lines.items() if key in chosen and (one := by[label])]
            mean = float(np.mean(values)) if len(values) > 1 else None
            expected.append(Cell("SENSITIVITY", row, f"mean R2 {label}", mean, len(chosen)))
    found = supplement.tables(case.made)
    basis = "printed averages"
    assert [c for c in found if c.table_id == "SENSITIVITY"] == near([replace(c, basis=basis) for c in expected])
    expected = []
    for (dataset, name), own in ((key, groups[key]) for key in case.made.final):
        for label, column in LABELS.items():
            x = [r[column] for r in own] if column != "ln" else [
                math.log(r["spectral_norm"]) if r["spectral_norm"] > 0 else None for r in own
            ]  # fmt: skip
            y = [r["error"] for r in own]
            expected += line("NC_S_LINES", f"{dataset} / {name}", label, x, y, basis=basis)
    assert [c for c in found if c.table_id == "NC_S_LINES"] == near(adjusted(expected))


def test_the_drafts_averages(case: Supplement) -> None:
    draft = {key: own for key, own in case.draft.items() if len(own) >= 4}
    expected = []
    for label, column in LABELS.items():
        r2 = [one.rvalue**2 for own in draft.values() if (one := fitted(own, label))]
        mse = []
        for own in draft.values():
            known = [r for r in own if column != "ln" or r["spectral_norm"] > 0]
            if len(known) >= 4:
                x = np.array([math.log(r["spectral_norm"]) if column == "ln" else r[column] for r in known])
                y = np.array([r["error"] for r in known])
                mse.append(np.mean((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2))
        for word, values in (("R2", r2), ("MSE", mse)):
            for end, value in (("mean", np.mean(values)), ("std", np.std(values, ddof=1))):
                expected.append(
                    Cell("DRAFT_T3", f"{word} ({end})", label, float(value), len(values), basis="printed averages")
                )
    found = [c for c in supplement.tables(case.made) if c.table_id == "DRAFT_T3" and c.row != "caption"]
    assert found == near(expected)


@pytest.mark.parametrize(("gain", "verdict", "better"), [
    (0.025, "the choice matters", 1), (-0.025, "the choice matters", 0), (0.015, "the choice hardly matters", 1),
    (0.0, "the choice hardly matters", 0),
])  # fmt: skip
def test_whether_the_choice_of_the_mean_matters(gain: float, verdict: str, better: int) -> None:
    u, v = np.linalg.qr(np.stack([np.arange(7.0) - 3, (np.arange(7.0) - 3) ** 2 - 4]).T)[0].T
    logs, mean = (math.sqrt(r2) * u + math.sqrt(1 - r2) * v for r2 in (0.5 + gain, 0.5))  # R2 with u
    points = [
        Point(f"m{i}", {"ln_spectral_norm": mean[i], "log_spectral_norm": logs[i]}, u[i], "weights") for i in range(7)
    ]
    series = supplement.Series({("d", "s"): points, ("d", "t"): points[:3]}, {}, frozenset(), ())
    one, few, whole = audit.means(series)
    assert (one.value, one.n, one.reason) == (pytest.approx(gain), 7, None)
    assert (few.value, few.n, few.reason) == (None, 3, "3 models, at least 4 are needed")
    assert (whole.value, whole.n, whole.verdict) == (pytest.approx(gain), 1, verdict)
    assert whole.reason == f"the mean of logarithms fits better in {better} of 1 series"
    assert audit.means(supplement.Series({}, {}, frozenset(), ())) == []


@pytest.mark.parametrize(("slope", "known", "rising"), [(0.5, 4, 1), (0.5, 3, 0), (0.0, 4, 0), (-0.5, 4, 0)])
def test_series_whose_four_lines_rise(slope: float, known: int, rising: int) -> None:
    x = {i: dict.fromkeys(supplement.METRICS, float(i)) for i in range(4)}
    points = [Point(f"m{i}", x[i], slope * i, "weights") for i in range(4)]
    for i in range(known, 4):
        x[i]["ln_spectral_norm"] = None
    found = supplement.tables(supplement.Series({("d", "s"): points}, {}, frozenset(), ()))
    assert {c.n for c in found if (c.table_id, c.row) == ("SENSITIVITY", "all four slopes positive")} == {rising}


def test_one_definition_needs_no_reason() -> None:
    points = [Point(f"m{i}", {}, 1.0) for i in range(4)]
    series = supplement.Series({("d", "s"): points, ("d", "t"): points[:2]}, {}, frozenset(), ())
    found = audit.normalisation([{"stable_rank": None, "spectral_norm": 1.0, "norm": 1.0}] * 3, series)
    fields = [(c.row, c.value, c.n, c.verdict, c.reason) for c in found]
    assert fields == [
        ("d / s", 0.0, 4, "X = W^T W", None), ("d / t", 0.0, 2, "X = W^T W", None),
        ("all", 0.0, 3, "one definition", None),
    ]  # fmt: skip


def test_means_of_fewer_than_two_are_none() -> None:
    assert supplement.described([1.0]) == []
    assert supplement.described([1.0, 3.0]) == [2.0, 2.0, pytest.approx(math.sqrt(2)), 1.0, 1.5, 2.0, 2.5, 3.0]
    cells = {
        (c.table_id, c.row, c.column): c.value for c in supplement.tables(supplement.Series({}, {}, frozenset(), ()))
    }
    assert cells["NC_T3", "R2 (mean)", "lognorm"] is None
    assert cells["NC_T3_INTENDED", "R2 (std)", "lognorm"] is None


@pytest.mark.parametrize(("rank", "top", "norm", "divided"), [
    (1.0, 0.0999, 1.0, True), (1.0, 0.1, 1.0, False), (0.4, 1.0, 2.0, False), (0.39, 1.0, 2.0, True),
    (None, 0.01, 1.0, False), (1.0, None, 1.0, False), (1.0, 0.01, None, False), (1.0, 0.0, 1.0, False),
])  # fmt: skip
def test_whether_x_was_divided(rank: float | None, top: float | None, norm: float | None, divided: bool) -> None:
    assert supplement.is_normalised({"stable_rank": rank, "spectral_norm": top, "norm": norm}) is divided
