"""Models with their averages, one reported number, and what the catalog says of them, ready for lines and groupings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real

from zoospectra.analysis.studies.independence import families_of
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.record import Designs, Row, among, number
from zoospectra.analysis.studies.target import Target, targets, twin

METRICS = ("alpha", "D", "log_spectral_norm", "log_norm", "alpha_weighted", "log_alpha_norm")
"""Averages that studies regress on, unless the options name others."""
NOT_HYPERPARAMETERS = frozenset(
    ["model_id", "zoo", "name", "revision", "task", "params", "origin", "checksum", "num_params", "display_name",
     "converted_from", "model_by_shape", "seed", "dataset", "double_of"]
)  # fmt: skip
"""Columns of the catalog that name a model rather than tell how it was made."""
NOT_AVERAGES = frozenset(["num_layers", "num_slices", "num_fits", "num_embeddings", "params"])
"""Numbers beside averages that count what is behind them."""
MOST_VALUES = 12
"""Different values beyond which a column of numbers is a covariate and no grouping."""


@dataclass(frozen=True, slots=True)
class Population:
    """Models of one profile with one reported metric on one data set; each counts once."""

    label: str
    """'<profile> / <data set> / <metric>'."""
    target: Target
    """What was reported."""
    rows: tuple[Row, ...]
    """Averages of each model."""
    entries: tuple[Row, ...]
    """What the catalog says of each; apart, so that a hyperparameter called alpha hides no average."""
    y: tuple[float, ...]
    """Reported number of each."""
    train: tuple[float | None, ...]
    """The same number on the training set, when reported."""
    catalog: tuple[str, ...]
    """Columns that the catalog has."""
    excluded: tuple[Row, ...]
    """Rows of the design table for models that a rule left out."""
    families: tuple[Hashable, ...] = ()
    """Family of kin of each model, where errors are clustered by them; empty where they are not."""

    def part(self, places: Sequence[int]) -> Population:
        """The models at these places alone."""
        return replace(
            self,
            rows=tuple(self.rows[i] for i in places),
            entries=tuple(self.entries[i] for i in places),
            y=tuple(self.y[i] for i in places),
            train=tuple(self.train[i] for i in places),
            families=tuple(self.families[i] for i in places) if self.families else (),
        )

    def column(self, name: str) -> list[float | None]:
        """A metric of every model."""
        return [number(row, name) for row in self.rows]

    def labels(self, name: str) -> list[Hashable]:
        """Values of a catalog column of every model; numbers to the 15 digits that a float keeps of a decimal one."""
        values = [entry.get(name) for entry in self.entries]
        return [float(f"{value:.15g}") if isinstance(value, float) else value for value in values]

    def family(self, place: int) -> Hashable:
        """Family of the model at a place; None where errors are not clustered."""
        return self.families[place] if self.families else None

    def design(self) -> list[Row]:
        """Rows of the design table."""
        base = {"population": self.label}
        used = [
            base | {"model_id": row["model_id"], "y": y, "train": train, "excluded_by": None}
            for row, y, train in zip(self.rows, self.y, self.train, strict=True)
        ]
        return [*used, *self.excluded]


def populations(designs: Designs, options: PopulationOptions | None = None) -> list[Population]:
    """Every profile, data set and target that has models, or those of the options; [] when nothing is reported.

    Raises ValueError for a profile, target or data set that is not there, naming those that are.
    """
    options = options or PopulationOptions()
    profile, independent = options.profile, options.independent
    profiles = tuple(dict.fromkeys(row["profile"] for row in designs["averages"]))
    among("profile", [] if profile is None else [profile], profiles)
    chosen = targets(designs["reported"], options.targets, options.datasets)
    catalog = {row["model_id"]: row for row in designs["catalog"]}
    names = tuple(dict.fromkeys(name for row in designs["catalog"] for name in row))
    found = []
    for one in sorted(profiles):
        if profile in (None, one):
            rows = [row for row in designs["averages"] if row["profile"] == one]
            made = [_population(one, target, rows, designs["reported"], catalog, names) for target in chosen]
            found += [population for population in made if population.rows]
    families = families_of(independent, designs.get("kin", ()))
    return [_by_family(population, families, independent) for population in found] if families else found


def _by_family(population: Population, families: Mapping[str, int], independent: str) -> Population:
    """The population with the family of each model; with independent=one only the first model of each, by model_id."""
    names = [str(row["model_id"]) for row in population.rows]
    own = [families.get(name, name) for name in names]
    if independent == "cluster":
        return replace(population, families=tuple(own))
    first: dict[Hashable, str] = {}
    for name, family in sorted(zip(names, own, strict=True)):
        first.setdefault(family, name)
    kept = [i for i, family in enumerate(own) if first[family] == names[i]]
    left = [
        {"population": population.label, "model_id": name, "y": y, "excluded_by": f"kin of {first[family]}"}
        for name, family, y in zip(names, own, population.y, strict=True)
        if first[family] != name
    ]
    return replace(population.part(kept), excluded=(*population.excluded, *left))


def _population(
    profile: str,
    target: Target,
    averages: Sequence[Row],
    reported: Sequence[Row],
    catalog: Mapping[str, Row],
    names: tuple[str, ...],
) -> Population:
    label = f"{profile} / {target.label}"
    train = twin(reported, target)
    there = {row["model_id"] for row in averages if row["model_id"] in target.values}
    seconds = target.seconds(there)
    rows, excluded = [], []
    for row in averages:
        model = row["model_id"]
        if model not in there:
            continue
        if why := seconds.get(model):
            excluded.append({"population": label, "model_id": model, "y": target.values[model], "excluded_by": why})
        else:
            rows.append(row)
    y = tuple(target.values[row["model_id"]] for row in rows)
    entries = tuple(catalog.get(row["model_id"], {}) for row in rows)
    trained = tuple(train.get(row["model_id"]) for row in rows)
    return Population(label, target, tuple(rows), entries, y, trained, names, tuple(excluded))


def groupings(population: Population, wanted: Sequence[str], smallest: int) -> dict[str, list[Hashable]]:
    """Catalog columns with two groups of at least `smallest` models, or those that are asked for.

    Smaller groups stay in; whoever judges the grouping leaves them out. A column of numbers with more than MOST_VALUES
    different values is a covariate. Raises ValueError for a column that the catalog does not have.
    """
    among("groupings", wanted, population.catalog)
    found = {}
    for name in wanted or population.catalog:
        labels = population.labels(name)
        sizes = Counter(label for label in labels if label is not None)
        large = sum(size >= smallest for size in sizes.values())
        own = name not in NOT_HYPERPARAMETERS and large > 1 and not _many_numbers(labels)
        if wanted or own:
            found[name] = labels
    return found


def covariates(population: Population, wanted: Sequence[str] = ()) -> dict[str, list[float | None]]:
    """Columns of numbers with more than MOST_VALUES different values that every model has, or those asked for.

    The number of parameters counts as its log10. Raises ValueError for a column that is not there or holds no numbers.
    """
    among("covariates", wanted, population.catalog)
    found: dict[str, list[float | None]] = {}
    for name in wanted or population.catalog:
        labels = population.labels(name)
        numbers = all(label is None or _is_number(label) for label in labels)
        if wanted and not numbers:
            msg = f"covariates={name}: expected a column of numbers"
            raise ValueError(msg)
        own = (name == "params" or name not in NOT_HYPERPARAMETERS) and _many_numbers(labels) and None not in labels
        if wanted or own:
            values = [None if label is None else float(label) for label in labels]  # type: ignore[arg-type]
            if name == "params":
                found["log10 params"] = logarithms(values)
            else:
                found[name] = values
    return found


def logarithms(values: Sequence[float | None]) -> list[float | None]:
    """log10 of numbers above 0; None of all others."""
    return [math.log10(value) if value is not None and value > 0 else None for value in values]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _many_numbers(labels: Sequence[Hashable]) -> bool:
    known = [label for label in labels if label is not None]
    return bool(known) and all(map(_is_number, known)) and len(set(known)) > MOST_VALUES


def averages(population: Population) -> list[str]:
    """Names of the averages that any of the models has, sorted."""
    numbers = {
        name for row in population.rows for name, value in row.items() if _is_number(value) and name not in NOT_AVERAGES
    }
    return sorted(numbers)


def metrics(population: Population, wanted: Sequence[str] = ()) -> dict[str, list[float | None]]:
    """Metrics by name that at least two models have: those asked for, or the papers'; see `check_metrics`."""
    found = {name: population.column(name) for name in wanted or METRICS}
    return {name: values for name, values in found.items() if sum(value is not None for value in values) > 1}


def check_metrics(found: Sequence[Population], wanted: Sequence[str]) -> None:
    """Raise ValueError for a metric that is no average of any population, naming those that are.

    Profiles have different metrics: one that a single profile computes is looked at there.
    """
    among("metrics", wanted, sorted({name for population in found for name in averages(population)}))
