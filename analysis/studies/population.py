"""Models with their averages, their reported numbers and their hyperparameters, ready for regressions and groupings."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from zoospectra.analysis.studies.record import Designs, Options, Row, number
from zoospectra.analysis.studies.target import Target, choose

METRICS = ("alpha", "D", "log_spectral_norm", "log_norm", "alpha_weighted", "log_alpha_norm")
"""Averages that studies regress on, unless the options name others."""
NOT_HYPERPARAMETERS = frozenset(
    ["model_id", "zoo", "name", "revision", "task", "params", "origin", "checksum", "num_params", "display_name",
     "converted_from", "model_by_shape", "seed", "dataset"]
)  # fmt: skip
"""Columns of the catalogue that name a model rather than tell how it was made."""
MOST_GROUPS = 12
"""Values a column may have and still be a grouping."""


@dataclass(frozen=True, slots=True)
class Population:
    """Models of one profile and one data set."""

    label: str
    """'<profile> / <data set>'."""
    rows: tuple[Row, ...]
    """One row a model: averages and catalogue columns together."""
    target: tuple[float | None, ...]
    """Reported number of each."""
    train: tuple[float | None, ...]
    """The same number on the training set, when reported."""
    catalogue: tuple[str, ...]
    """Columns that the catalogue has."""

    def column(self, name: str) -> list[float | None]:
        """A metric of every model."""
        return [number(row, name) for row in self.rows]

    def labels(self, name: str) -> list[Hashable]:
        """Values of a catalogue column of every model."""
        return [row.get(name) for row in self.rows]


def populations(designs: Designs, options: Options) -> tuple[Target | None, list[Population]]:
    """The target, and every profile and data set that has models with it; options: target, profile.

    Raises ValueError when the target or the profile is not there, naming what is.
    """
    target = choose(designs["reported"], options.get("target"))
    if target is None:
        return None, []
    profiles = dict.fromkeys(row["profile"] for row in designs["averages"])
    wanted = options.get("profile")
    if wanted is not None and wanted not in profiles:
        msg = f"profile {wanted!r} is not in the warehouse; it has {', '.join(profiles) or 'none'}"
        raise ValueError(msg)
    values, train = target.newest(), _train(designs["reported"], target.metric)
    catalogue = {row["model_id"]: row for row in designs["catalogue"]}
    names = tuple(dict.fromkeys(name for row in designs["catalogue"] for name in row))
    groups: dict[str, list[Row]] = {}
    for row in designs["averages"]:
        if row["model_id"] in values and wanted in (None, row["profile"]):
            both = {**row, **catalogue.get(row["model_id"], {})}
            groups.setdefault(f"{row['profile']} / {both.get('dataset') or 'no data set'}", []).append(both)
    return target, [
        Population(
            label,
            tuple(rows),
            tuple(values.get(row["model_id"]) for row in rows),
            tuple(train.get(row["model_id"]) for row in rows),
            names,
        )
        for label, rows in sorted(groups.items())
    ]


def _train(reported: Sequence[Row], metric: str) -> dict[str, float]:
    """The training twin of a test metric: 'train_accuracy' of 'test_accuracy'."""
    name = f"train_{metric.removeprefix('test_')}"
    return {row["model_id"]: float(row["value"]) for row in reported if row["metric"] == name}


def groupings(population: Population, wanted: Sequence[str] = ()) -> dict[str, list[Hashable]]:
    """Catalogue columns that split a population into 2 to MOST_GROUPS groups, or those that are asked for.

    Raises ValueError for a column that the catalogue does not have.
    """
    for name in wanted:
        if name not in population.catalogue:
            msg = f"grouping {name!r} is no column of the catalogue; it has {', '.join(population.catalogue)}"
            raise ValueError(msg)
    found = {}
    for name in wanted or population.catalogue:
        labels = population.labels(name)
        count = len({label for label in labels if label is not None})
        if wanted or (2 <= count <= MOST_GROUPS and name not in NOT_HYPERPARAMETERS):
            found[name] = labels
    return found


def metrics(options: Options) -> tuple[str, ...]:
    """Metrics of the options, or the papers'."""
    return tuple(options.get("metrics") or METRICS)


def columns(population: Population, names: Sequence[str]) -> Mapping[str, list[float | None]]:
    """Metrics by name that at least two models have."""
    found = {name: population.column(name) for name in names}
    return {name: values for name, values in found.items() if sum(value is not None for value in values) > 1}
