"""`zoospectra kin [MODEL ...]`: relatives of models of a warehouse, by their sketches; no weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.analysis.kinship.records import SketchedModel
    from zoospectra.jobs.words.command import Configuration

WHAT = ("models", "layers")
"""What can be asked for: one row a pair of models, or one a pair of layers."""

KEPT, LAYERS_KEPT = ("relative_id", "verdict"), ("relative_id", "longname")
"""Columns that a screen never leaves out, of models and of layers."""

HELP = f"""usage: zoospectra kin [MODEL ...] [what={"|".join(WHAT)}] [all=true] [keep=true] [format={"|".join(FORMATS)}]
                      [warehouse.dir=DIR]

Relatives of models: what was copied, permuted, quantised, fine-tuned or merged from what, from sketches, bytes and
spectra. MODEL is a model_id or a glob; without one every model is asked about. all=true lists candidates that turned
out independent or undetermined too. keep=true, without MODEL, keeps the verdicts in the tables kinship and families,
which studies with independent=cluster read."""


@dataclass(frozen=True, slots=True)
class KinSettings:
    """Values of `kin`."""

    model: list[str] = field(default_factory=list)
    """model_ids or globs; none means all."""
    what: str = "models"
    """One of WHAT."""
    all: bool = False
    """Whether independent and undetermined candidates are listed."""
    keep: bool = False
    """Whether the verdicts go to the warehouse."""
    format: str = "table"
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)

    def __post_init__(self) -> None:
        """Refuse an unknown table or format, and keeping a part of the zoo."""
        check_format(self.format, self.formulas)
        if self.what not in WHAT:
            msg = f"what={self.what}: expected one of {', '.join(WHAT)}"
            raise ValueError(msg)
        if self.keep and self.model:
            msg = "keep=true: expected no MODEL, for families are of the whole warehouse"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A question that can be answered."""

    settings: KinSettings
    """As composed."""
    models: Sequence[SketchedModel]
    """The whole warehouse."""
    asked: Sequence[str]
    """model_ids."""


def check(settings: KinSettings, _: Configuration) -> Request:
    """Sketches of the warehouse; ValueError where there are none, or no such model."""
    from zoospectra.jobs.work.kin import chosen, sketched_models

    models = sketched_models(Path(settings.warehouse.dir))
    return Request(settings, models, chosen(models, settings.model))


def kin(request: Request) -> Printable:
    """Relatives, as a table."""
    from zoospectra.analysis.kinship.relatives import DERIVED, relatives
    from zoospectra.jobs.work import kin as work

    settings, directory = request.settings, Path(request.settings.warehouse.dir)
    rows = relatives(request.models, set(request.asked), work.spectra_of(directory))
    if settings.keep:
        work.keep(directory, request.models, rows, settings.warehouse.keep)
    shown = [row for row in rows if settings.all or row.verdict in DERIVED]
    if settings.what == "layers":
        return Printable(work.layer_table(shown), settings.format, settings.formulas, LAYERS_KEPT)
    table = work.table(shown)
    if settings.format == "table":
        table = table.drop_columns(["revision", "relative_revision", "p_value"])
    return Printable(table, settings.format, settings.formulas, KEPT)


VERB = Verb(
    HELP, KinSettings, check, kin, print_as, positional=(Positional("model", "MODEL", many=True, optional=True),)
)
