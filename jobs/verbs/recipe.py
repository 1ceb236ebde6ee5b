"""`zoospectra recipe MODEL PARENT ...`: of what a model was mixed, from sketches; no weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.analysis.kinship.records import SketchedModel
    from zoospectra.jobs.words.command import Configuration

HELP = f"""usage: zoospectra recipe MODEL PARENT [PARENT ...] [base=PARENT] [format={"|".join(FORMATS)}]
                         [warehouse.dir=DIR]

Coefficients of a model's parents by least squares on sketches, with their standard errors and R2: a row for all layers
together, then one for every layer. kind: linear, linear by layer, slerp, task arithmetic (base= names the parent that
task vectors are differences from), passthrough, layer stack, scaled, or none."""


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
    """How the result is printed."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)

    def __post_init__(self) -> None:
        """Refuse an unknown format, no parent, and a base that is none of them."""
        check_format(self.format)
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


def check(settings: RecipeSettings, _: Configuration) -> Request:
    """Sketches of the models; ValueError for one that has none."""
    from zoospectra.jobs.work.kin import sketched_models

    models = {model.model_id: model for model in sketched_models(Path(settings.warehouse.dir))}
    for name in (settings.model, *settings.parents):
        if name not in models:
            msg = f"{name}: no model of that name has sketches; zoospectra sql 'FROM models' lists all"
            raise ValueError(msg)
    return Request(settings, models[settings.model], [models[name] for name in settings.parents])


def recipe(request: Request) -> Printable:
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
    text = ("longname", "kind")
    schema = pa.schema([(name, pa.string() if name in text else pa.float64()) for name in rows[0]])
    return Printable(pa.Table.from_pylist(rows, schema=schema), settings.format)


WORDS = (Positional("model", "MODEL"), Positional("parents", "PARENT", many=True))
VERB = Verb(HELP, RecipeSettings, check, recipe, print_as, positional=WORDS)
