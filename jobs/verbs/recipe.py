"""`zoospectra recipe MODEL PARENT ...`: of what a model was mixed, from sketches; no weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from zoospectra.analysis.kinship.records import SketchedModel
    from zoospectra.jobs.words.command import Configuration

HELP = f"""usage: zoospectra recipe MODEL PARENT [PARENT ...] [base=PARENT] [format={"|".join(FORMATS)}]
                         [warehouse.dir=DIR]

Coefficients of a model's parents by least squares on sketches, with their standard errors and R2: a row for all layers
together, then one for every layer. kind: linear, linear by layer, slerp, task arithmetic (base= names the parent that
task vectors are differences from), passthrough, layer stack, scaled, or none."""


TEXTS = ("longname", "kind")
"""Columns that hold text."""


@dataclass(frozen=True, slots=True)
class RecipeSettings:
    """Values of `recipe`."""

    model: str
    """model_id that is explained."""
    parents: list[str] = field(default_factory=list)
    """model_ids that explain it."""
    base: str | None = None
    """Parent that task vectors are differences from."""
    format: str = "table"
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)

    def __post_init__(self) -> None:
        """Refuse an unknown format, no parent, and a base that is none of them."""
        check_format(self.format, self.formulas)
        if not self.parents:
            msg = "expected MODEL and at least one PARENT; 'zoospectra kin MODEL' lists candidates"
            raise ValueError(msg)
        if self.base is not None and self.base not in self.parents:
            msg = f"base={self.base}: expected one of {', '.join(self.parents)}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A question that can be answered."""

    settings: RecipeSettings
    """As composed."""
    model: SketchedModel
    """Which."""
    parents: Sequence[SketchedModel]
    """Of which."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The answer."""

    table: pa.Table
    """One row for the model, one a layer."""
    parents: tuple[str, ...]
    """model_ids in the order of their columns."""
    settings: RecipeSettings
    """As composed."""


def check(settings: RecipeSettings, _: Configuration) -> Request:
    """Sketches of the models; ValueError for one that has none."""
    from zoospectra.jobs.work.kin import sketched_models

    models = {model.model_id: model for model in sketched_models(Path(settings.warehouse.dir))}
    for name in (settings.model, *settings.parents):
        if name not in models:
            msg = f"{name}: no model of that name has sketches; zoospectra sql 'FROM models' lists all"
            raise ValueError(msg)
    return Request(settings, models[settings.model], [models[name] for name in settings.parents])


def recipe(request: Request) -> Recipe:
    """One row for the model, one a layer."""
    import pyarrow as pa

    from zoospectra.analysis.kinship.recipe import Fit
    from zoospectra.analysis.kinship.recipe import recipe as regression

    settings = request.settings
    result = regression(request.model, request.parents, settings.base)

    def row(name: str, kind: str | None, fit: Fit) -> dict[str, Any]:
        values: dict[str, Any] = {"longname": name, "kind": kind, "r2": fit.r2}
        for parent, b, error in zip(result.parents, fit.coefficients, fit.errors, strict=True):
            values |= {parent: b, f"{parent} error": error if error < float("inf") else None}
        return values

    rows = [row("all layers", result.kind, result.fit), *(row(held.longname, None, held.fit) for held in result.layers)]
    schema = pa.schema([(name, pa.string() if name in TEXTS else pa.float64()) for name in rows[0]])
    return Recipe(pa.Table.from_pylist(rows, schema=schema), tuple(result.parents), settings)


def show(result: Recipe) -> None:
    """The table; for people parents are numbered in it, and listed below."""
    settings = result.settings
    if settings.format != "table":
        print_as(Printable(result.table, settings.format, settings.formulas))
        return
    pairs = [(f"parent_{n}", f"error_{n}") for n in range(1, len(result.parents) + 1)]
    table = result.table.rename_columns([*TEXTS, "r2", *(name for pair in pairs for name in pair)])
    print_as(Printable(table, settings.format, keep=tuple(parent for parent, _ in pairs)))
    for (name, _), parent in zip(pairs, result.parents, strict=True):
        print(plain(f"{name}: {parent}"))


WORDS = (Positional("model", "MODEL"), Positional("parents", "PARENT", many=True))
VERB = Verb(HELP, RecipeSettings, check, recipe, show, positional=WORDS)
