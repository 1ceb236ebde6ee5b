"""Tables of "Post-mortem on a deep learning contest": metrics against test accuracy by sub-group, averaged, and pooled.

C_T1 alpha against the log spectral norm, C_T2 training against test, C_T5 metrics against test, C_SCORE the contest's
own score (cmi_official) beside the definition's (cmi_weighted), task by task. The paper prints only averages of
sub-groups; POOLED, which shows a Simpson's paradox where there is one, stands beside them. Direction: reported = a + b
* metric. Not covered: its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoospectra.analysis.statistics.mutual_information import cmi_official, cmi_weighted
from zoospectra.analysis.studies.lines import NORMALITY, Point, adjusted, cells
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import Population, check_metrics, groupings, metrics, populations
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Study, among
from zoospectra.analysis.studies.target import mixed_units, unnamed

LABELS = {
    "alpha": "Alpha",
    "D": "QualityOfAlphaFit",
    "log_spectral_norm": "LogSpectralNorm",
    "log_norm": "LogFrobeniusNorm",
    "alpha_weighted": "AlphaHat",
    "log_alpha_norm": "LogAlphaShattenNorm",
}
"""Our metric -> the contest paper's word."""
NOT_AVERAGED = (
    "slope low", "slope high", "slope p", "intercept", "covariance", "clustered", "families", "effective",
    "kin effect p", NORMALITY,
)  # fmt: skip
"""Statistics of a line of which a mean over sub-groups says nothing."""


@dataclass(frozen=True, slots=True)
class Options(PopulationOptions):
    """Options of the study."""

    grouping: str = "series"
    """Column of the catalog that makes the sub-groups."""
    hyperparameters: list[str] = field(default_factory=list)
    """Columns of the catalog that the score is given; empty means every column that could be a grouping."""
    metrics: list[str] = field(default_factory=list)
    """Averages to regress on; empty means the paper's six."""
    task: str | None = None
    """Column of the catalog that tells the contest's tasks apart, each with a score of its own; None means pgdl_task
    where the catalog has it, else all models of a data set are one task."""


def run(designs: Designs, options: Options) -> Findings:
    """All tables for every profile, data set and target."""
    found = populations(designs, options)
    if not found:
        return Findings((), notes=("no model has a reported metric: nothing to compare with",))
    check_metrics(found, options.metrics)
    made: list[Cell] = []
    notes = [*unnamed(designs["reported"], options.datasets), *mixed_units(one.target for one in found)]
    for population in found:
        among("grouping", [options.grouping], population.catalog)
        among("hyperparameters", options.hyperparameters, population.catalog)
        among("task", [] if options.task is None else [options.task], population.catalog)
        notes.append(f"{population.label}: direction: {population.target.metric} = a + b * metric")
        made += _population(population, options, notes)
    design = [row for one in found for row in one.design()]
    return Findings(tuple(adjusted(made)), tuple(design), tuple(notes))


def _population(population: Population, options: Options, notes: list[str]) -> list[Cell]:
    name, smallest = options.grouping, options.smallest
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(population.labels(name)):
        groups.setdefault(f"{name} {label}" if name != "series" else str(label), []).append(i)
    small = {label: members for label, members in groups.items() if len(members) < smallest}
    for label, members in sorted(small.items()):
        notes.append(f"{population.label} / {label}: too few models: {len(members)}, at least {smallest} are needed")
    large = {label: members for label, members in sorted(groups.items()) if label not in small}
    mine = metrics(population, options.metrics)
    found: list[Cell] = []
    if {"alpha", "log_spectral_norm"} <= set(mine):
        pairs = [("Alpha vs LogSpectralNorm", mine["log_spectral_norm"], mine["alpha"])]
        found += _table("C_T1", population, large, pairs, smallest)
    if any(value is not None for value in population.train):
        pairs = [("training vs test", list(population.train), list(population.y))]
        found += _table("C_T2", population, large, pairs, smallest)
        for task in _tasks(population, options.task):
            found += _scores(task, options, notes)
    else:
        notes.append(f"{population.label}: no training numbers reported: no C_T2 and no score of the contest")
    pairs = [(LABELS.get(metric, metric), values, list(population.y)) for metric, values in mine.items()]
    return found + _table("C_T5", population, large, pairs, smallest)


def _table(
    table_id: str,
    population: Population,
    groups: Mapping[str, Sequence[int]],
    pairs: Sequence[tuple[str, Sequence[float | None], Sequence[float | None]]],
    smallest: int,
) -> list[Cell]:
    """Cells of every sub-group, their plain average, and all models together."""
    found: list[Cell] = []
    for label, x, y in pairs:
        points = [
            Point(row["model_id"], {"x": x[i]}, y[i], row.get("basis"), population.family(i))
            for i, row in enumerate(population.rows)
        ]
        by_group = []
        for group, members in groups.items():
            row = f"{population.label} / {group}"
            by_group += cells(table_id, row, label, [points[i] for i in members], "x", smallest)
        pooled = cells(table_id, f"{population.label} / POOLED", label, points, "x", smallest)
        found += [*by_group, *average(by_group, f"{population.label} / AVG"), *pooled]
    return found


def average(found: Sequence[Cell], row: str) -> list[Cell]:
    """The paper's AVG rows: the plain mean of the sub-groups' values, column by column; n counts sub-groups."""
    values: dict[tuple[str, str], list[float]] = {}
    for cell in found:
        if cell.value is not None and not cell.column.startswith(NOT_AVERAGED):
            values.setdefault((cell.table_id, cell.column), []).append(cell.value)
    return [Cell(table_id, row, column, sum(v) / len(v), len(v)) for (table_id, column), v in values.items()]


def _tasks(population: Population, column: str | None) -> list[Population]:
    """The models of each task; tasks of one data set bear their names."""
    name = column or ("pgdl_task" if "pgdl_task" in population.catalog else None)
    places: dict[str, list[int]] = {}
    for i, label in enumerate(population.labels(name)) if name else ():
        places.setdefault(str(label), []).append(i)
    if len(places) < 2:
        return [population]
    return [replace(population.part(places[task]), label=f"{population.label} / {task}") for task in sorted(places)]


def _scores(population: Population, options: Options, notes: list[str]) -> list[Cell]:
    """The contest's score of every metric: its order against the order of the generalisation gaps."""
    mine = metrics(population, options.metrics)
    both = zip(population.train, population.y, strict=True)
    higher = population.target.higher_is_better
    gap = [None if train is None else train - test if higher else test - train for train, test in both]
    given = groupings(population, options.hyperparameters, options.smallest)
    given = {name: labels for name, labels in given.items() if name not in ("series", "family")}
    found = []
    for metric, values in mine.items():
        for column, rule in (("cmi_official", cmi_official), ("cmi_weighted", cmi_weighted)):
            score = rule(values, gap, given)
            why = score.reason or f"hyperparameters held fixed: {' and '.join(score.given) or 'none'}"
            row = f"{population.label} / {LABELS.get(metric, metric)}"
            found.append(Cell("C_SCORE", row, column, score.score, score.n, reason=why))
    notes.append(f"{population.label}: score of the contest, hyperparameters: {', '.join(given) or 'none'}")
    return found


STUDY = Study(Options, run, ("averages", "reported", "catalog", "kin"))
