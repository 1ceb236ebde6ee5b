"""Simpson's paradox in a zoo: every metric by every grouping, verdicts, and the statistics behind them.

SIMPSON ranks all pairs of a population, SIMPSON_GROUPS shows the groups of the first ones, LINES the full statistics of
every metric by series, SCALE_SHAPE how much of alpha_weighted and of the target comes from scale and from shape.
Direction: reported = a + b * metric. Not covered: causes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from zoospectra.analysis.simpson import Candidate, Verdict, scale_and_shape, search
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.statistics.permutation import chance
from zoospectra.analysis.statistics.theil_sen import theil_sen
from zoospectra.analysis.studies.lines import STATISTICS, Point, line
from zoospectra.analysis.studies.population import Population, columns, groupings, metrics, populations
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Options

SHOWN = 6
"""Pairs whose groups are shown."""


def run(designs: Designs, options: Options) -> Findings:
    """Search and statistics of every population; options: metrics, groupings, target, profile, replicates, seed."""
    target, found = populations(designs, options)
    if target is None:
        return Findings((), notes=("no model has a reported metric: nothing to regress on",))
    cells: list[Cell] = []
    notes = [f"direction: {target.metric} = a + b * metric"]
    for one in found:
        cells += _searched(one, options, notes)
        cells += _lines(one, options)
        cells += _shares(one, options)
    design = [
        {"population": one.label, "model_id": row["model_id"], "y": y, "excluded_by": None if y is not None else "no y"}
        for one in found
        for row, y in zip(one.rows, one.target, strict=True)
    ]
    return Findings(tuple(cells), tuple(design), tuple(notes))


def _searched(one: Population, options: Options, notes: list[str]) -> list[Cell]:
    chosen = groupings(one, options.get("groupings") or ())
    seed, smallest = int(options["seed"]), int(options["smallest"])
    ranked = search(
        columns(one, metrics(options)),
        one.target,
        chosen,
        count=int(options["replicates"]),
        seed=seed,
        smallest=smallest,
    )
    if not ranked:
        notes.append(f"{one.label}: no grouping with at least two groups; {len(one.rows)} models")
        return []
    cells: list[Cell] = []
    for pair in ranked:
        cells += _pair(one, pair, chosen[pair.grouping], seed)
    for pair in ranked[:SHOWN]:
        cells += _groups(one, pair)
    told = Counter(pair.found.verdict for pair in ranked)
    said = ", ".join(f"{told[verdict]} {verdict}" for verdict in Verdict if told[verdict])
    notes.append(f"{one.label}: {len(ranked)} pairs of metric and grouping: {said}")
    for pair in ranked:
        if pair.found.verdict in (Verdict.REVERSAL, Verdict.PARTIAL):
            notes.append(f"{one.label}: {pair.metric} by {pair.grouping}: {pair.found.verdict} ({pair.found.reason})")
    return cells


def _pair(one: Population, pair: Candidate, labels: Sequence[Hashable], seed: int) -> list[Cell]:
    row = f"{one.label} / {pair.metric} by {pair.grouping}"
    found, pooled, within = pair.found, pair.found.pooled, pair.found.within
    x, known = one.column(pair.metric), [label is not None for label in labels]
    y = [value if there else None for value, there in zip(one.target, known, strict=True)]
    between = mixed(x, y, labels)
    null = chance(x, y, labels, shuffles=999, seed=seed)
    values = {
        "pooled slope": (pooled.slope, pooled.reason),
        "pooled tau": (pooled.kendall_tau, pooled.reason),
        "within slope": (within.slope, within.reason),
        "within p": (within.p, within.reason),
        "mixed slope": (between.slope, between.reason),
        "chance p": (null.p, null.reason),
        "opposite share": (found.opposite, None if found.opposite is not None else found.reason),
        "adjusted p": (pair.adjusted, None if pair.adjusted is not None else "the trends do not oppose each other"),
    }
    return [
        Cell("SIMPSON", row, column, value, pooled.n, verdict=str(found.verdict), reason=why or found.reason)
        for column, (value, why) in values.items()
    ]


def _groups(one: Population, pair: Candidate) -> list[Cell]:
    cells = []
    words = {1: "rises", -1: "falls", 0: "not told"}
    for trend in pair.found.groups:
        row = f"{one.label} / {pair.metric} by {pair.grouping} / {trend.name}"
        for word in ("slope", "tau", "R2"):
            value = getattr(trend.line, STATISTICS[word])
            cells.append(
                Cell(
                    "SIMPSON_GROUPS",
                    row,
                    word,
                    value,
                    trend.line.n,
                    verdict=words[trend.sign],
                    reason=trend.line.reason,
                )
            )
    return cells


def _lines(one: Population, options: Options) -> list[Cell]:
    """Full statistics of every metric, by series and pooled; p-values adjusted over all of them."""
    groups: dict[str, list[int]] = {"POOLED": list(range(len(one.rows)))}
    for i, label in enumerate(one.labels("series")):
        groups.setdefault(str(label), []).append(i)
    cells: list[Cell] = []
    tested: list[int] = []
    smallest = int(options["smallest"])
    for group, members in groups.items():
        for metric, column in columns(one, metrics(options)).items():
            x, y = [column[i] for i in members], [one.target[i] for i in members]
            row = f"{one.label} / {group} / {metric}"
            found = line([Point("", {"x": a}, b) for a, b in zip(x, y, strict=True)], "x", smallest)
            if found.n < smallest:
                cells.append(Cell("LINES", row, "slope", None, found.n, verdict="too few models", reason=found.reason))
                continue
            tested.append(len(cells) + list(STATISTICS).index("slope p"))
            cells += [
                Cell("LINES", row, word, getattr(found, name), found.n, reason=found.reason)
                for word, name in STATISTICS.items()
            ]
            cells += _robust(row, x, y, options)
    adjusted = benjamini_hochberg([cells[i].value for i in tested])
    cells += [replace(cells[i], column="slope p, adjusted", value=p) for i, p in zip(tested, adjusted, strict=True)]
    return cells


def _robust(row: str, x: Sequence[float | None], y: Sequence[float | None], options: Options) -> list[Cell]:
    twin, normal, each = theil_sen(x, y), residual_normality(x, y), influence(x, y)
    drawn = slope_interval(x, y, count=int(options["replicates"]), seed=int(options["seed"]))
    verdict = "hangs on one model" if each.turns else None
    return [
        Cell("LINES", row, "Theil-Sen slope", twin.slope, twin.n, reason=twin.reason),
        Cell("LINES", row, "Shapiro-Wilk p", normal.p, normal.n, reason=normal.reason),
        Cell("LINES", row, "slope without one, low", each.low, each.n, verdict=verdict, reason=each.reason),
        Cell("LINES", row, "slope without one, high", each.high, each.n, verdict=verdict, reason=each.reason),
        Cell("LINES", row, "bootstrap low", drawn.low, drawn.n, reason=drawn.reason),
        Cell("LINES", row, "bootstrap high", drawn.high, drawn.n, reason=drawn.reason),
    ]


def _shares(one: Population, options: Options) -> list[Cell]:
    """Scale (mean log_spectral_norm) against shape (mean alpha), pooled and by series."""
    groups: dict[str, list[int]] = {"POOLED": list(range(len(one.rows)))}
    for i, label in enumerate(one.labels("series")):
        groups.setdefault(str(label), []).append(i)
    scale, shape = one.column("log_spectral_norm"), one.column("alpha")
    cells = []
    for target, values in (("alpha_weighted", one.column("alpha_weighted")), ("reported", list(one.target))):
        for group, members in groups.items():
            found = scale_and_shape(
                [values[i] for i in members], [scale[i] for i in members], [shape[i] for i in members],
                int(options["smallest"]),
            )  # fmt: skip
            row = f"{one.label} / {group} / {target}"
            for word in ("r2", "scale", "shape", "scale_alone", "shape_alone"):
                cells.append(Cell("SCALE_SHAPE", row, word, getattr(found, word), found.n, reason=found.reason))
    return cells
