"""`zoospectra layer MODEL NAME`: what a figure of one layer shows, as tables, from the spectra of a warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Positional, Verb, check_one_profile
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.jobs.work.figure import StoredLayer

IDENTITY = ("model_id", "longname", "profile", "slice_id", "of")
"""Columns that stand above a table for people where they are the same in every row."""

WHAT = ("fit", "curve", "esd", "all")
"""What can be asked for."""

HELP = f"""usage: zoospectra layer MODEL NAME [what={"|".join(WHAT)}] [profiles=NAME] [format={"|".join(FORMATS)}]
                        [warehouse.dir=DIR]

One layer from its stored spectrum; no weights are read. MODEL and NAME are a model_id and a layer's longname, or globs
that match one. fit: exponent, xmin, D, edges of the Marchenko-Pastur bulk; curve: exponent and D of every candidate
xmin; esd: every eigenvalue with the fitted law and the noise; all: the three, told apart by a column `table`. Shuffled
copies are in it where the warehouse keeps them (scan with profiles=thorough). In SQL: the view layer_spectra."""


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """Values of `layer`."""

    model: str
    """A model_id, or a glob that matches one."""
    name: str
    """A layer's longname, or a glob that matches one of the model."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention: scaling, pooling, filters and fit rule."""
    what: str = "fit"
    """One of WHAT."""
    format: str = "table"
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""

    def __post_init__(self) -> None:
        """Refuse an unknown table or format, and more than one profile."""
        check_format(self.format, self.formulas)
        if self.what not in WHAT:
            msg = f"what={self.what}: expected one of {', '.join(WHAT)}"
            raise ValueError(msg)
        check_one_profile(self.profiles)


@dataclass(frozen=True, slots=True)
class Request:
    """A layer that was found."""

    layer: StoredLayer
    """With its spectra."""
    profile: Profile
    """Convention."""
    settings: LayerSettings
    """As composed."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The answer."""

    tables: Mapping[str, pa.Table]
    """By name, in the order asked for."""
    settings: LayerSettings
    """As composed."""


def check(settings: LayerSettings, configuration: Configuration) -> Request:
    """Find the layer and its spectra; ValueError says which models, layers or spectra there are instead."""
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work.figure import stored_layer

    (profile,) = load_profiles(settings.profiles, configuration)
    layer = stored_layer(Path(settings.warehouse.dir), settings.model, settings.name, profile.unfold)
    return Request(layer, profile, settings)


def layer(request: Request) -> Tables:
    """The tables that were asked for."""
    from zoospectra.jobs.work.figure import TABLES, tables

    what = request.settings.what
    return Tables(tables(request.layer, request.profile, TABLES if what == "all" else [what]), request.settings)


def show(result: Tables) -> None:
    """Print one after the other as tables for people; in other formats as one, with a column `table` where several."""
    import pyarrow as pa

    from zoospectra.jobs.show.display import print_lifted

    named, settings = result.tables, result.settings
    if settings.format == "table":
        for table in named.values():
            print_lifted(table, IDENTITY)
        return
    if len(named) > 1:
        marked = [
            table.add_column(0, "table", pa.array([name] * len(table), pa.string())) for name, table in named.items()
        ]
        named = {"all": pa.concat_tables(marked, promote_options="default")}
    for table in named.values():
        print_as(Printable(table, settings.format, settings.formulas))


WORDS = (Positional("model", "MODEL"), Positional("name", "NAME"))
VERB = Verb(HELP, LayerSettings, check, layer, show, positional=WORDS)
