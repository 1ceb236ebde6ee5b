"""Guards that look at the data of a published table and say what is wrong with it, knowing nothing of the right values.

Shapes against the claimed architecture, X or X / N in one comparison, models against regressions, logarithm of a mean
against mean of logarithms, summaries of summaries. Each verdict is a cell of table GUARD_*.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from zoospectra.analysis.studies.lines import line
from zoospectra.analysis.studies.record import Cell, Row
from zoospectra.analysis.studies.supplement import METRICS, Series, is_normalised

CLASSES = 1000
"""Classes of ImageNet-1K: one side of the last dense layer; the other is the architecture's."""


def shapes(classifiers: Sequence[Row], expected: Mapping[str, int]) -> list[Cell]:
    """GUARD_SHAPES: inputs of each model's classifier, and which architecture has so many when its own has not.

    The verdict is 'is <name>'. A model whose name is none of `expected`, or whose last dense layer has no side of
    CLASSES, is not judged.
    """
    families: dict[int, list[str]] = {}
    for name, inputs in expected.items():
        families.setdefault(int(inputs), []).append(name)
    found = []
    for row in classifiers:
        name, sides = row["name"], (int(row["N"]), int(row["M"]))
        if name not in expected or CLASSES not in sides:
            continue
        inputs = sides[0] if sides[1] == CLASSES else sides[1]
        others = [one for one in families.get(inputs, []) if _letters(one) == _letters(name)]
        is_claimed = inputs == int(expected[name])
        verdict = f"is {name}" if is_claimed else f"is {others[0]}" if others else "is none that is known"
        reason = None if is_claimed else f"{name} has {expected[name]} inputs to its classifier, this file {inputs}"
        found.append(
            Cell("GUARD_SHAPES", name, "classifier inputs", float(inputs), 1, float(expected[name]), verdict, reason)
        )
    return found


def _letters(name: str) -> str:
    """'densenet' of 'densenet121'."""
    return re.sub(r"[^a-z].*", "", name)


def normalisation(rows: Sequence[Row], series: Series) -> list[Cell]:
    """GUARD_NORMALISATION: models of each series whose X was divided by N, from their own averages."""
    cells = []
    for (dataset, name), points in series.final.items():
        count = sum(one.name in series.normalised for one in points)
        verdict = "X = W^T W" if count == 0 else "X divided by N" if count == len(points) else "mixed within the series"
        cells.append(
            Cell("GUARD_NORMALISATION", f"{dataset} / {name}", "normalised", float(count), len(points), None, verdict)
        )
    kinds = Counter(cell.verdict for cell in cells)
    everyone = sum(is_normalised(row) for row in rows)
    verdict = "mixed" if len(kinds) > 1 else "one definition"
    reason = f"{kinds['X divided by N']} of {len(cells)} series have X divided by N" if len(kinds) > 1 else None
    if cells:
        cells.append(
            Cell("GUARD_NORMALISATION", "all", "normalised", float(everyone), len(rows), None, verdict, reason)
        )
    return cells


def counts(rows: Sequence[Row], series: Series, claimed: Mapping[str, int]) -> list[Cell]:
    """GUARD_COUNTS: numbers that the paper calls models, beside the models and the regressions there are."""
    models: dict[str, int] = {}
    regressions: dict[str, set[int]] = {}
    for row in rows:
        if not row["name"].startswith("osmr/"):
            key = f"Table 1: {row['series']}"
            models[key] = models.get(key, 0) + 1
    for key, groups in (("Table 3: DNNs", series.final), ("Table 3 of the draft: DNNs", series.draft)):
        models[key] = sum(len(points) for points in groups.values())
        regressions[key] = {len(groups) * per for per in (len(METRICS), 6)}
    found = []
    for key, number in claimed.items():
        if key not in models:
            continue
        verdict = "models" if number == models[key] else "differs"
        if number != models[key] and number in regressions.get(key, ()):
            verdict = "counts regressions"
        found.append(Cell("GUARD_COUNTS", key, "models", float(models[key]), models[key], float(number), verdict))
    return found


def means(series: Series) -> list[Cell]:
    """GUARD_MEANS: R2 of ln of the mean largest eigenvalue against that of the mean of its log10, series by series."""
    found = []
    better = 0
    for (dataset, name), points in series.final.items():
        of_mean, of_logs = line(points, "ln_spectral_norm"), line(points, "log_spectral_norm")
        gain = None if of_mean.r2 is None or of_logs.r2 is None else of_logs.r2 - of_mean.r2
        better += gain is not None and gain > 0
        found.append(
            Cell(
                "GUARD_MEANS",
                f"{dataset} / {name}",
                "R2 mean of logs - R2 log of mean",
                gain,
                of_logs.n,
                reason=of_logs.reason,
            )
        )
    known = [cell.value for cell in found if cell.value is not None]
    if known:
        mean = sum(known) / len(known)
        verdict = "the choice matters" if abs(mean) > 0.02 else "the choice hardly matters"
        reason = f"the mean of logarithms fits better in {better} of {len(known)} series"
        found.append(
            Cell("GUARD_MEANS", "mean", "R2 mean of logs - R2 log of mean", mean, len(known), None, verdict, reason)
        )
    return found


def summaries(cells: Sequence[Cell]) -> list[Cell]:
    """GUARD_SUMMARIES: a printed mean outside the range of what it averages is a summary of something else."""
    found = []
    tables = {"RMSE (mean)": "NC_S_RMSE", "R2 (mean)": "NC_S_R2", "tau (mean)": "NC_S_KTAU"}
    for cell in cells:
        values = [one.value for one in cells if one.table_id == tables.get(cell.row) and one.column == cell.column]
        known = [value for value in values if value is not None]
        if cell.table_id != "NC_T3" or cell.published is None or not known:
            continue
        lies = min(known) <= cell.published <= max(known) and abs(cell.published - sum(known) / len(known)) < 0.01
        verdict = "a mean" if lies else "no mean of its table"
        reason = None if lies else f"its {len(known)} values lie between {min(known):.2f} and {max(known):.2f}"
        mean = sum(known) / len(known)
        found.append(Cell("GUARD_SUMMARIES", cell.row, cell.column, mean, len(known), cell.published, verdict, reason))
    return found


def sentences(cells: Sequence[Cell]) -> list[str]:
    """How many printed numbers reproduce and from what, and those that do not."""
    printed = [cell for cell in cells if cell.published is not None]
    good = Counter(cell.basis for cell in printed if cell.verdict == "reproduces")
    everything = Counter(cell.basis for cell in printed)
    parts = [f"{good[one]} of {count} from {one or 'nothing'}" for one, count in everything.most_common()]
    notes = [
        f"{good.total()} of {len(printed)} printed numbers reproduce at their printed precision",
        f"what that is an audit of: {', '.join(parts)}",
    ]
    for cell in printed:
        if cell.verdict != "reproduces":
            where = f"{cell.table_id} / {cell.row} / {cell.column}"
            notes.append(f"{where}: printed {cell.published:g}, {cell.verdict}: {cell.reason}")
    return notes


def findings(guards: Sequence[Cell]) -> list[str]:
    """What the guards object to, one sentence each."""
    fine = {"X = W^T W", "one definition", "models", "a mean", "the choice hardly matters", None}
    notes = []
    for cell in guards:
        if cell.verdict not in fine and cell.verdict != f"is {cell.row}":
            what = cell.table_id.removeprefix("GUARD_").lower()
            why = f" ({cell.reason})" if cell.reason else ""
            notes.append(f"guard {what}: {cell.row} {cell.column}: {cell.verdict}{why}")
    return notes
