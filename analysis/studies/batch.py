"""All models of a data set in one line, whatever their architecture, with what else they differ in held constant.

BATCH has a row a metric: the plain line, the slope with each covariate held constant and with all of them, and the same
by the mixed model (random intercepts by series). Covariates are depth, log10 of the number of parameters, and year,
where they are known; where the catalog has no depth it is the number of layers measured. Direction: reported = a + b *
metric. Source of the question: Martin, Peng and Mahoney, "Predicting trends in the quality of state-of-the-art neural
networks", whose lines stay inside architectures. Not covered: groupings, see studies.simpson.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.robust import RobustSlope, robust_slope
from zoospectra.analysis.studies.lines import Point, adjusted, cells
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import (
    Population,
    check_metrics,
    covariates,
    logarithms,
    metrics,
    populations,
)
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Study
from zoospectra.analysis.studies.target import mixed_units, unnamed

KNOWN = 0.5
"""Share of models that must have a covariate that nobody asked for; the others are left out where it counts."""

Column = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Options(PopulationOptions):
    """Options of the study."""

    covariates: list[str] = field(default_factory=list)
    """Columns of numbers to hold constant; empty means depth, log10 params and year, where half of the models have
    them and differ in them."""
    metrics: list[str] = field(default_factory=list)
    """Averages to regress on; empty means the papers' six."""


def run(designs: Designs, options: Options) -> Findings:
    """One line a population and metric, plain and with covariates."""
    found = populations(designs, options)
    if not found:
        return Findings((), notes=("no model has a reported metric: nothing to regress on",))
    check_metrics(found, options.metrics)
    made: list[Cell] = []
    notes = [*unnamed(designs["reported"], options.datasets), *mixed_units(one.target for one in found)]
    for one in found:
        held = _held(one, options)
        notes.append(f"{one.label}: {len(one.rows)} models; held constant: {', '.join(held) or 'nothing is known'}")
        for metric in metrics(one, options.metrics):
            made += _row(one, metric, held, options.smallest)
    made = _partial_adjusted(adjusted(made))
    counted = Counter(cell.verdict for cell in made if cell.column == "slope" and cell.verdict)
    notes += [f"{count} lines: {verdict}" for verdict, count in sorted(counted.items())]
    return Findings(tuple(made), tuple(row for one in found for row in one.design()), tuple(notes))


def _held(one: Population, options: Options) -> dict[str, Column]:
    """Covariates by name: those asked for, or those that half of the models have and differ in."""
    if options.covariates:
        return dict(covariates(one, options.covariates))
    known: dict[str, list[float | None]] = {}
    for name, columns in (("depth", ("depth", "num_layers")), ("log10 params", ("params",)), ("year", ("year",))):
        sides = ([_number(row.get(column)) for row in rows] for column in columns for rows in (one.entries, one.rows))
        if values := next((side for side in sides if any(side)), None):
            known[name] = logarithms(values) if name == "log10 params" else values
    enough = {name: [v for v in values if v is not None] for name, values in known.items()}
    return {
        name: known[name]
        for name, values in enough.items()
        if len(values) >= KNOWN * len(one.rows) and len(set(values)) > 1
    }


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _row(one: Population, metric: str, held: Mapping[str, Column], smallest: int) -> list[Cell]:
    """Cells of one metric."""
    x, label = one.column(metric), f"{one.label} / {metric}"
    points = [
        Point("", {"x": a}, b, row.get("basis"), one.family(i))
        for i, (a, b, row) in enumerate(zip(x, one.y, one.rows, strict=True))
    ]
    made = cells("BATCH", label, "", points, "x", smallest)
    first, *_ = made
    if first.reason or not held:
        return made
    for name, column in held.items():
        made += _partial(label, f", {name} held", robust_slope(x, one.y, None, [column]))
    partial = robust_slope(x, one.y, None, [*held.values()])
    made += _partial(label, ", all held", partial)
    random = mixed(x, one.y, one.labels("series"), [*held.values()])
    for word, value in (("mixed slope, all held", random.slope), ("mixed p, all held", random.p)):
        made.append(Cell("BATCH", label, word, value, random.n, reason=random.reason))
    verdict = _verdict(next(cell.value for cell in made if cell.column == "slope"), partial)
    return [replace(cell, verdict=verdict) if cell.column == "slope" else cell for cell in made]


def _partial(label: str, held: str, found: RobustSlope) -> list[Cell]:
    values = {"slope": found.slope, "slope low": found.low, "slope high": found.high, "p": found.p}
    return [Cell("BATCH", label, f"{word}{held}", v, found.n, reason=found.reason) for word, v in values.items()]


def _verdict(plain: float | None, partial: RobustSlope) -> str | None:
    """What holding the covariates constant does to the slope; HC3 at 5 %, not adjusted over the table."""
    if plain is None or partial.slope is None or partial.p is None:
        return None
    if partial.p > 0.05:
        return "not told with covariates"
    return "stays with covariates" if plain * partial.slope > 0 else "turns around with covariates"


def _partial_adjusted(made: Sequence[Cell]) -> list[Cell]:
    """The cells, and beside each 'p, all held' its p-value adjusted over the table (Benjamini and Hochberg)."""
    q_values = iter(benjamini_hochberg([cell.value for cell in made if cell.column == "p, all held"]))
    found: list[Cell] = []
    for cell in made:
        found.append(cell)
        if cell.column == "p, all held":
            found.append(replace(cell, column="p, all held, adjusted", value=next(q_values)))
    return found


STUDY = Study(Options, run, ("averages", "reported", "catalog", "kin"))
