"""The Simpson study of a made-up zoo, whole: ranking, groups shown, lines, shares and sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from tests.analysis.studies.oracle import adjusted, line, near
from zoospectra.analysis.simpson import Candidate, search
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.robust import robust_slope
from zoospectra.analysis.statistics.shares import scale_and_shape
from zoospectra.analysis.statistics.theil_sen import theil_sen
from zoospectra.analysis.studies import simpson
from zoospectra.analysis.studies.record import Cell, Findings

METRICS = ("alpha", "D", "log_spectral_norm", "alpha_weighted")
WORDS = {"RMSE": "rmse", "R2": "r2", "tau": "kendall_tau", "slope": "slope", "intercept": "intercept"}
WORDS |= {"covariance": "covariance", "slope low": "slope_low", "slope high": "slope_high", "slope p": "slope_p"}
VERDICTS = ["reversal", "partial reversal", "opposite in these groups", "none", "undetermined"]


def zoo() -> dict[str, list[dict]]:
    """Series of 4, 4, 4, 4 and 3 with a planted reversal of alpha on data set d, of which 8 and 3 are on e and f."""
    rng = np.random.default_rng(0)
    ids, group = [f"m{i:02d}" for i in range(19)], [min(i // 4, 4) for i in range(19)]
    inner = [float(i % 4 - 1.5) for i in range(19)]
    averages = [
        {"model_id": name, "profile": "p", "basis": "weights", "num_layers": 3}
        | {metric: float(rng.normal()) for metric in METRICS}
        | {"alpha": 3 * g + a + 0.02 * float(rng.normal())}
        for name, g, a in zip(ids, group, inner, strict=True)
    ]
    averages[4]["D"] = None
    catalog = [
        {"model_id": name, "series": "abcde"[g], "twin": f"t{9 - g}", "width": int(rng.integers(2)), "params": 7.0**i}
        for i, (name, g) in enumerate(zip(ids, group, strict=True))
    ]
    value = [8 * g - a + 0.02 * float(rng.normal()) for g, a in zip(group, inner, strict=True)]
    reported = [
        {"model_id": name, "dataset": dataset, "metric": "e", "value": v, "higher_is_better": True}
        for dataset, places in (("d", range(19)), ("e", range(8)), ("f", range(16, 19)))
        for name, v in [(ids[i], value[i] if dataset == "d" else float(rng.normal())) for i in places]
    ]
    return {"averages": averages, "catalog": catalog, "reported": reported}


@dataclass(frozen=True)
class Case:
    """A population of the zoo and what the search says of it."""

    label: str
    """Its label."""
    rows: list[dict]
    """Averages, columns of the catalog and the number y of its models."""
    pairs: list[Candidate]
    """Every metric by every grouping."""

    def column(self, name: str) -> list:
        """A column of every model."""
        return [row[name] for row in self.rows]


@pytest.fixture(scope="module")
def found() -> Findings:
    return simpson.run(zoo(), simpson.Options(replicates=100, seed=3))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    designs = zoo()
    of = {row["model_id"]: row | average for row, average in zip(designs["catalog"], designs["averages"], strict=True)}
    made = []
    for dataset in "def":
        rows = [of[r["model_id"]] | {"y": r["value"]} for r in designs["reported"] if r["dataset"] == dataset]
        case = Case(f"p / {dataset} / e", rows, [])
        groupings = {name: case.column(name) for name in ("series", "twin", "width")}
        groupings = {
            name: labels
            for name, labels in groupings.items()
            if sum(labels.count(label) >= 4 for label in set(labels)) > 1
        }
        columns = {metric: case.column(metric) for metric in METRICS}
        pairs = search(columns, case.column("y"), groupings, seed=3, smallest=4)
        made.append(Case(case.label, rows, pairs))
    return made


def name_of(case: Case, pair: Candidate) -> str:
    return f"{case.label} / {pair.metric} by {pair.grouping}"


def ranked(cases: list[Case]) -> list[tuple[Case, Candidate]]:
    pairs = [(case, pair) for case in cases for pair in case.pairs]
    return sorted(
        pairs,
        key=lambda one: (
            VERDICTS.index(str(one[1].found.verdict)),
            1.0 if one[1].found.p is None else one[1].found.p,
            one[1].metric,
            one[1].grouping,
        ),
    )


def of_pair(case: Case, pair: Candidate) -> list[Cell]:
    """Cells of one pair."""
    one, labels = pair.found, case.column(pair.grouping)
    sizes = {label: labels.count(label) for label in labels}
    x = case.column(pair.metric)
    known = [label for label, a in zip(labels, x, strict=True) if a is not None]
    large = [label for label in sizes if known.count(label) >= 4]
    y = [v if label in large else None for v, label in zip(case.column("y"), labels, strict=True)]
    within = [(a, b, g) for a, b, g in zip(x, y, labels, strict=True) if a is not None and b is not None]
    pooled = np.polyfit([a for a, *_ in within], [b for _, b, _ in within], 1)[0]
    values = {
        "pooled slope": float(pooled), "within slope": one.within.slope, "adjusted p": pair.adjusted, "p": one.p,
        "smallest slope told": one.detectable, "more models": one.more, "pooled tau": one.pooled.kendall_tau,
    }  # fmt: skip
    if one.evidence is None:  # one group alone is no grouping
        assert len(large) == 1
        y = [None] * len(y)
    else:
        told = one.evidence
        values |= {
            "pooled p": told.pooled.p, "between slope": told.between.slope, "between p": told.between.p,
            "within p": told.within.p, "chance p": told.shuffled_p, "slope without one group, low": told.lowest,
            "slope without one group, high": told.highest, "interaction p": one.interaction.p,
        }  # fmt: skip
    values["mixed slope"] = mixed(x, y, labels).slope
    if len(case.rows) > 12:  # more different numbers of parameters than a grouping may have
        held = [[math.log10(value) for value in case.column("params")]]
        partial, random = robust_slope(x, y, labels, held), mixed(x, y, labels, held)
        values |= {"partial slope": partial.slope, "partial p": partial.p, "partial mixed slope": random.slope}
    why = f"; the same groups as {pair.same_as}, counted once" if pair.same_as else ""
    return [
        Cell("SIMPSON", name_of(case, pair), word, value, len(within), None, pair.verdict(), one.reason + why)
        for word, value in values.items()
    ]


def test_every_pair_the_clearest_first(found: Findings, cases: list[Case]) -> None:
    expected = [cell for case, pair in ranked(cases) for cell in of_pair(case, pair)]
    assert [cell for cell in found.cells if cell.table_id == "SIMPSON"] == near(expected)
    assert expected[0].row == "p / d / e / alpha by series"
    assert expected[0].verdict == "reversal"


def test_groups_of_the_first_six_pairs_of_each_population(found: Findings, cases: list[Case]) -> None:
    expected = []
    for case in cases:
        questions = [pair for pair in case.pairs if pair.grouping != "twin"]  # the same groups as series
        for pair in questions[:6]:
            for trend in pair.found.groups:
                row = f"{name_of(case, pair)} / {trend.name}"
                verdict = {1: "rises", -1: "falls", 0: "not told"}[trend.told.sign]
                mine = [r for r in case.rows if r[pair.grouping] == trend.name and r[pair.metric] is not None]
                x, y = (np.array([r[name] for r in mine]) for name in (pair.metric, "y"))
                few = "fewer than 4 points" if len(mine) < 4 else None
                normal = None if few else stats.shapiro(y - np.polyval(np.polyfit(x, y, 1), x)).pvalue
                values = {word: getattr(trend.line, name) for word, name in WORDS.items()}
                values |= {"Shapiro-Wilk p": normal, "p, Holm": trend.told.p}
                expected += [
                    Cell("SIMPSON_GROUPS", row, word, value, trend.line.n, None, verdict, few or trend.line.reason)
                    for word, value in values.items()
                ]
    assert {cell.verdict for cell in expected} == {"falls", "rises", "not told"}
    assert len([pair for pair in cases[0].pairs if pair.grouping != "twin"]) > 6
    assert [cell for cell in found.cells if cell.table_id == "SIMPSON_GROUPS"] == near(adjusted(expected))


def groups_of(case: Case) -> dict[str, list[dict]]:
    """All models, and those of each series in the order of the first."""
    groups = {"POOLED": case.rows}
    for row in case.rows:
        groups.setdefault(row["series"], []).append(row)
    return groups


def test_lines_by_series_and_pooled(found: Findings, cases: list[Case]) -> None:
    expected = []
    for case in cases:
        for (group, rows), metric in [(one, m) for one in groups_of(case).items() for m in METRICS]:
            x, y, row = [r[metric] for r in rows], [r["y"] for r in rows], f"{case.label} / {group} / {metric}"
            usable = len(x) - x.count(None)
            if usable < 4:
                why = f"{usable} models, at least 4 are needed"
                expected.append(Cell("LINES", row, "slope", None, usable, None, "too few models", why))
                continue
            other, each, drawn = theil_sen(x, y), influence(x, y), slope_interval(x, y, count=100, seed=3)
            expected += line("LINES", row, "", x, y, basis="weights")
            slopes = [
                np.polyfit(np.delete(a, i), np.delete(b, i), 1)[0] for a, b in [known(x, y)] for i in range(usable)
            ]
            turns = min(slopes) * max(slopes) < 0
            assert (each.low, each.high) == pytest.approx((min(slopes), max(slopes)))
            for word, value, verdict, why in (
                ("Theil-Sen slope", other.slope, None, other.reason),
                ("slope without one, low", each.low, "hangs on one model" if turns else None, None),
                ("slope without one, high", each.high, "hangs on one model" if turns else None, None),
                ("bootstrap low", drawn.low, None, drawn.reason), ("bootstrap high", drawn.high, None, drawn.reason),
            ):  # fmt: skip
                expected.append(Cell("LINES", row, word, value, usable, None, verdict, why))
    assert [cell for cell in found.cells if cell.table_id == "LINES"] == near(adjusted(expected))


def known(x: list, y: list) -> tuple[np.ndarray, np.ndarray]:
    a, b = zip(*[(a, b) for a, b in zip(x, y, strict=True) if a is not None], strict=True)
    return np.array(a), np.array(b)


def test_shares_of_scale_and_shape(found: Findings, cases: list[Case]) -> None:
    expected = []
    for case in cases:
        for target, name in (("alpha_weighted", "alpha_weighted"), ("reported", "y")):
            for group, rows in groups_of(case).items():
                columns = [[row[c] for row in rows] for c in (name, "log_spectral_norm", "alpha")]
                one = scale_and_shape(*columns, 4)
                for word in ("r2", "scale", "shape", "scale_alone", "shape_alone"):
                    row = f"{case.label} / {group} / {target}"
                    expected.append(Cell("SCALE_SHAPE", row, word, getattr(one, word), one.n, reason=one.reason))
    assert [cell for cell in found.cells if cell.table_id == "SCALE_SHAPE"] == near(expected)


def test_what_it_says(found: Findings, cases: list[Case]) -> None:
    expected = []
    for case in cases[:2]:
        questions = [pair for pair in case.pairs if pair.grouping != "twin"]
        verdicts = [pair.verdict() for pair in questions]
        words = ", ".join(f"{verdicts.count(word)} {word}" for word in sorted(set(verdicts)))
        expected.append(f"{case.label}: {len(questions)} pairs of metric and grouping at level 0.05: {words}")
        if case is cases[0]:
            expected.append(f"{case.label}: covariates of the partial slopes: log10 params")
        expected.append(f"{case.label}: twin makes the same groups as series: counted once")
    expected.append("no grouping with two groups of at least 4 models: p / f / e (3 models)")
    expected.append("direction of all lines: reported number = a + b * metric")
    for case, pair in ranked(cases):
        one = pair.found
        if pair.grouping != "twin" and str(one.verdict) in VERDICTS[:3]:
            slopes = f"slope {one.pooled.slope:+.4g} pooled, {one.within.slope:+.4g} inside groups"
            expected.append(f"{name_of(case, pair)}: {pair.verdict()}: {slopes}; {one.reason}")
    assert list(found.notes) == expected
    assert expected[-1].startswith("p / d / e / alpha by series: reversal: slope +")
    assert [row["population"] for row in found.design] == [case.label for case in cases for _ in case.rows]
    assert simpson.run(zoo() | {"reported": []}, simpson.Options()).notes == (
        "no model has a reported metric: nothing to regress on",
    )
