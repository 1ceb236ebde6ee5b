"""Which reported numbers a study regresses on: those asked for, or on each data set the one that most models share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mode

from zoospectra.analysis.studies.record import Row, among

NO_DATASET = "no data set"
UNNAMED = (NO_DATASET, "unknown")
"""Data sets that nobody named: their numbers may come from several, and make a line only where asked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """One reported metric on one data set; numbers of two data sets never meet."""

    dataset: str
    """Data set that it was measured on; 'no data set' where none is named."""
    metric: str
    """Name, such as 'top1_error'."""
    higher_is_better: bool
    """Direction."""
    values: Mapping[str, float]
    """model_id -> value, in the unit of the source."""
    firsts: Mapping[str, str]
    """model_id of a model under a second name -> that of the first (warehouse view doubles)."""

    @property
    def label(self) -> str:
        """'<data set> / <metric>'."""
        return f"{self.dataset} / {self.metric}"

    def seconds(self, models: Iterable[str]) -> dict[str, str]:
        """Models of a line that are another one of it under a second name -> why; see `second_names`."""
        return second_names(models, self.firsts)


def second_names(models: Iterable[str], firsts: Mapping[str, str]) -> dict[str, str]:
    """Models that are another one of `models` under a second name -> why; the first by name counts.

    firsts: model_id of a second name -> that of the first (column double_of). A second name whose first is not among
    `models` counts: the same weights would be lost otherwise.
    """
    counted: dict[str, str] = {}
    found = {}
    for model in sorted(set(models)):
        other = counted.setdefault(firsts.get(model, model), model)
        if other != model:
            found[model] = f"the same model as {other}"
    return found


def targets(reported: Sequence[Row], wanted: Sequence[str] = (), datasets: Sequence[str] = ()) -> list[Target]:
    """Targets on every data set with a name, or on `datasets`; () when nothing is reported.

    reported: one row a model, data set and metric (warehouse macro reported_newest). `wanted` metrics count wherever
    they are reported; without them each data set has the metric of most models, a test score before a training score.
    Raises ValueError for a metric or a data set of which nothing is reported, naming those that are, and for two that
    do not meet.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in reported:
        groups.setdefault((str(row["dataset"] or NO_DATASET), row["metric"]), []).append(row)
    among("targets", wanted, sorted({metric for _, metric in groups}))
    among("datasets", datasets, sorted({dataset for dataset, _ in groups}))
    found = []
    for dataset in sorted({dataset for dataset, _ in groups}):
        if dataset not in datasets if datasets else dataset in UNNAMED:
            continue
        here = {metric: rows for (name, metric), rows in groups.items() if name == dataset}
        shared = min(here, key=lambda one: (one.startswith("train"), -len(here[one]), not one.startswith("test"), one))
        for metric in dict.fromkeys(wanted) or [shared]:
            if metric in here:
                found.append(_target(dataset, metric, here[metric]))
    if wanted and datasets:
        among("targets", wanted, sorted({metric for dataset, metric in groups if dataset in datasets}))
        among("datasets", datasets, sorted({dataset for dataset, metric in groups if metric in wanted}))
    return found


def unnamed(reported: Sequence[Row], datasets: Sequence[str] = ()) -> tuple[str, ...]:
    """A sentence about the numbers that `targets` leaves out for want of a data set; () when there are none."""
    if datasets:
        return ()
    counted = Counter(name for row in reported if (name := str(row["dataset"] or NO_DATASET)) in UNNAMED)
    return tuple(
        f"in no line, for their data set is not known: numbers of '{name}', {count} (study.datasets asks for them)"
        for name, count in sorted(counted.items())
    )


def mixed_units(chosen: Iterable[Target]) -> tuple[str, ...]:
    """A sentence for each target that seems to hold fractions beside percent, which make no line together.

    So it seems where some values are at most 1, the others at least ten times the largest of these, and a hundred times
    the former lie among the latter, to a factor of 2.
    """
    notes = {}
    for target in chosen:
        low = [value for value in target.values.values() if value <= 1]
        high = [value for value in target.values.values() if value > 1]
        if not low or not high or min(low) <= 0 or min(high) < 10 * max(low):
            continue
        if min(high) / 2 <= 100 * max(low) and 100 * min(low) <= 2 * max(high):
            words = f"{len(low)} of {len(low) + len(high)} numbers are at most 1, the others {min(high):g} and more"
            notes[target.label] = f"{target.label}: {words}: fractions beside percent? lines mix them"
    return tuple(notes.values())


def twin(reported: Sequence[Row], target: Target) -> dict[str, float]:
    """Values of the training twin of a test metric on its data set: 'train_accuracy' of 'test_accuracy'."""
    name = f"train_{target.metric.removeprefix('test_')}"
    rows = [row for row in reported if row["metric"] == name and (row["dataset"] or NO_DATASET) == target.dataset]
    return {row["model_id"]: float(row["value"]) for row in rows}


def _target(dataset: str, metric: str, rows: Sequence[Row]) -> Target:
    higher = mode(bool(row["higher_is_better"]) for row in rows)
    values = {row["model_id"]: float(row["value"]) for row in rows}
    firsts = {row["model_id"]: row["double_of"] for row in rows if row.get("double_of") is not None}
    return Target(dataset, metric, higher, values, firsts)
