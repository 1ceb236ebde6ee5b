"""Tables of "Post-mortem on a deep learning contest": metrics against test accuracy by sub-group, averaged, and pooled.

C_T1 alpha against the log spectral norm, C_T2 training against test, C_T5 metrics against test, C_SCORE the contest's
own conditional mutual information. The paper prints only averages of sub-groups; POOLED, which shows a Simpson's
paradox where there is one, stands beside them. Direction: reported = a + b * metric. Not covered: its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoospectra.analysis.statistics.mutual_information import contest_score
from zoospectra.analysis.studies.lines import Point, cells, line
from zoospectra.analysis.studies.population import Population, columns, groupings, metrics, populations
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Options

LABELS = {
    "alpha": "Alpha",
    "D": "QualityOfAlphaFit",
    "log_spectral_norm": "LogSpectralNorm",
    "log_norm": "LogFrobeniusNorm",
    "alpha_weighted": "AlphaHat",
    "log_alpha_norm": "LogAlphaShattenNorm",
}
"""Our metric -> the contest paper's word."""
WORDS = ("R2", "RMSE", "tau", "slope")


def run(designs: Designs, options: Options) -> Findings:
    """All tables for every profile and data set; options: target, profile, groupings (the first is the sub-group)."""
    target, found = populations(designs, options)
    if target is None:
        return Findings((), notes=("no model has a reported metric: nothing to compare with",))
    cells: list[Cell] = []
    notes = [f"direction: {target.metric} = a + b * metric"]
    for population in found:
        cells += _population(population, options, notes)
    design = [
        {"population": one.label, "model_id": row["model_id"], "y": y, "train": train, "excluded_by": None}
        for one in found
        for row, y, train in zip(one.rows, one.target, one.train, strict=True)
    ]
    return Findings(tuple(cells), tuple(design), tuple(notes))


def _population(population: Population, options: Options, notes: list[str]) -> list[Cell]:
    name = (options.get("groupings") or ["series"])[0]
    smallest = int(options["smallest"])
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(population.labels(name)):
        groups.setdefault(f"{name} {label}" if name != "series" else str(label), []).append(i)
    small = {label: members for label, members in groups.items() if len(members) < smallest}
    for label, members in sorted(small.items()):
        notes.append(f"{population.label} / {label}: too few models: {len(members)}, at least {smallest} are needed")
    large = {label: members for label, members in sorted(groups.items()) if label not in small}
    mine = columns(population, metrics(options))
    found: list[Cell] = []
    if {"alpha", "log_spectral_norm"} <= set(mine):
        pairs = [("Alpha vs LogSpectralNorm", mine["log_spectral_norm"], mine["alpha"])]
        found += _table("C_T1", population, large, pairs, smallest)
    if any(value is not None for value in population.train):
        pairs = [("training vs test", list(population.train), list(population.target))]
        found += _table("C_T2", population, large, pairs, smallest)
        found += _scores(population, mine, options, notes)
    else:
        notes.append(f"{population.label}: no training numbers reported: no C_T2 and no score of the contest")
    pairs = [(LABELS.get(metric, metric), values, list(population.target)) for metric, values in mine.items()]
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
        by_group = []
        for group, members in groups.items():
            points = [Point(str(i), {"x": x[i]}, y[i]) for i in members]
            by_group += cells(table_id, f"{population.label} / {group}", label, line(points, "x", smallest), WORDS)
        everything = [Point(str(i), {"x": x[i]}, y[i]) for i in range(len(x))]
        pooled = cells(table_id, f"{population.label} / POOLED", label, line(everything, "x", smallest), WORDS)
        found += [*by_group, *average(by_group, f"{population.label} / AVG"), *pooled]
    return found


def average(cells: Sequence[Cell], row: str) -> list[Cell]:
    """The paper's AVG rows: the plain mean of the sub-groups' values, column by column; n counts sub-groups."""
    values: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        if cell.value is not None:
            values.setdefault((cell.table_id, cell.column), []).append(cell.value)
    return [Cell(table_id, row, column, sum(v) / len(v), len(v)) for (table_id, column), v in values.items()]


def _scores(
    population: Population, mine: Mapping[str, Sequence[float | None]], options: Options, notes: list[str]
) -> list[Cell]:
    """The contest's score of every metric: its order against the order of the generalisation gaps."""
    gap = [
        None if train is None or test is None else train - test
        for train, test in zip(population.train, population.target, strict=True)
    ]
    given = groupings(population, options.get("hyperparameters") or ())
    given = {name: labels for name, labels in given.items() if name not in ("series", "family")}
    found = []
    for metric, values in mine.items():
        score = contest_score(values, gap, given)
        why = score.reason or f"given {' and '.join(score.given) or 'nothing'}"
        label = LABELS.get(metric, metric)
        found.append(Cell("C_SCORE", f"{population.label} / {label}", "score", score.score, score.n, reason=why))
    notes.append(f"{population.label}: score of the contest, hyperparameters: {', '.join(given) or 'none'}")
    return found
