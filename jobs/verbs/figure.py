"""`zoospectra figure NAME`: one figure of a warehouse, drawn, with its numbers beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.figures.formats import FORMATS, check_format
from zoospectra.jobs.words.verb import Positional, Verb, check_one_profile, did_you_mean
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from zoospectra.jobs.show.figures.record import Figure
    from zoospectra.jobs.words.command import Configuration

NAMES = {
    "quality": "a metric against the reported quality, pooled and by group",
    "train-test": "the number reported on the test set against that on the training set",
    "shape-scale": "mean alpha against the mean log spectral norm",
    "bars": "R2 and Kendall's tau of every metric, by group",
    "counts": "models by group and data set, a table",
    "depth": "a metric from the first layer to the last, models=GLOB,...",
    "histogram": "a metric over layers, by model or series",
    "esd": "one layer's spectrum with fit, xmin, noise, shuffled copy: figure esd MODEL LAYER",
    "search": "D and alpha of every candidate xmin: figure search MODEL LAYER",
}
"""Figure -> what it shows."""

HELP = f"""usage: zoospectra figure NAME [MODEL LAYER] [metric=alpha] [group=series] [target=NAME] [dataset=NAME]
                         [models=GLOB,...] [profiles=NAME] [format={"|".join(FORMATS)}] [to=DIR] [warehouse.dir=DIR]

Draws a figure of the warehouse into DIR, warehouse.dir/figures unless given, and its numbers beside it as CSV and
Parquet. Needs matplotlib: pip install 'zoospectra[figures]'.

{chr(10).join(f"  {name:<12} {text}" for name, text in NAMES.items())}"""


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """Values of `figure`."""

    name: str
    """A key of NAMES."""
    model: str | None = None
    """Of esd and search: a model_id, or a glob that matches one."""
    layer: str | None = None
    """Of esd and search: a layer's longname, or a glob that matches one."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    metric: str = "alpha"
    """Column of averages, or of layers."""
    group: str = "series"
    """Column of the catalog; of histogram: series or model_id."""
    target: str | None = None
    """Reported metric; None means the one that most models have."""
    dataset: str | None = None
    """Data set of the reported metric; None means the one of most models."""
    models: list[str] = field(default_factory=list)
    """Globs of model_id; empty means all."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention."""
    format: str = "svg"
    """Of the file, one of FORMATS."""
    to: str | None = None
    """Folder; None means warehouse.dir/figures."""

    def __post_init__(self) -> None:
        """Refuse an unknown figure or format, more than one profile, and a layer's figure without a layer."""
        if self.name not in NAMES:
            msg = f"unknown figure {self.name!r}{did_you_mean(self.name, NAMES)}: expected one of {', '.join(NAMES)}"
            raise ValueError(msg)
        check_format("format", self.format)
        check_one_profile(self.profiles)
        words = [word for word in (self.model, self.layer) if word is not None]
        if len(words) != (2 if self.name in ("esd", "search") else 0):
            wanted = "MODEL LAYER" if self.name in ("esd", "search") else "no more words"
            msg = f"figure {self.name}: expected {wanted} after it, got {' '.join(words) or 'nothing'}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A figure that can be drawn."""

    figure: Figure
    """What to draw."""
    folder: Path
    """Where."""
    format: str
    """Of the file."""


def check(settings: FigureSettings, configuration: Configuration) -> Request:
    """Read the numbers; ValueError for a missing warehouse, name or column, and when matplotlib is missing."""
    from zoospectra.jobs.show.figures.draw import MISSING, available

    if not available():
        raise ValueError(MISSING)
    makers: dict[str, Callable[[FigureSettings], Figure]] = {"depth": _layers, "histogram": _layers}
    if settings.name in ("esd", "search"):
        figure = _layer(settings, configuration)
    else:
        figure = makers.get(settings.name, _models)(settings)
    folder = Path(settings.to) if settings.to is not None else Path(settings.warehouse.dir) / "figures"
    return Request(figure, folder, settings.format)


def _layer(settings: FigureSettings, configuration: Configuration) -> Figure:
    from zoospectra.jobs.show.figures.esd import esd
    from zoospectra.jobs.show.figures.search import search
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work.figure import stored_layer, tables

    (profile,) = load_profiles(settings.profiles, configuration)
    directory, model, layer = Path(settings.warehouse.dir), settings.model or "*", settings.layer or "*"
    made = tables(stored_layer(directory, model, layer, profile.unfold), profile, ("fit", "curve", "esd"))
    return search(made["curve"]) if settings.name == "search" else esd(made["fit"], made["esd"])


def _layers(settings: FigureSettings) -> Figure:
    import pyarrow.compute as pc

    from zoospectra.analysis.studies.record import among
    from zoospectra.jobs.show.figures.depth import depth
    from zoospectra.jobs.show.figures.histogram import histogram
    from zoospectra.jobs.work.points import read_layers

    layers = read_layers(Path(settings.warehouse.dir))
    among("profiles", settings.profiles, pc.unique(layers["profile"]).to_pylist())
    among("metric", [settings.metric], layers.column_names[layers.column_names.index("alpha") :])
    chosen = _matching(layers.filter(pc.equal(layers["profile"], settings.profiles[0])), settings.models)
    if settings.name == "depth":
        return depth(chosen, settings.metric)
    among("group", [settings.group], ("series", "model_id"))
    return histogram(chosen, settings.metric, settings.group)


def _models(settings: FigureSettings) -> Figure:
    from zoospectra.analysis.studies.population import METRICS, averages
    from zoospectra.analysis.studies.record import among
    from zoospectra.jobs.show.figures import bars, counts, quality, shape_scale, train_test
    from zoospectra.jobs.show.figures.points import points, population_of
    from zoospectra.jobs.work.points import read_designs

    rows = read_designs(Path(settings.warehouse.dir))
    population = population_of(rows, settings.profiles[0], settings.target, settings.dataset)
    if population is None:
        msg = f"profiles={settings.profiles[0]}: no model has a reported number under it: give a catalog with some"
        raise ValueError(msg)
    among("metric", {settings.metric} - set(METRICS), averages(population))
    metrics = list(dict.fromkeys([*METRICS, settings.metric]))
    table = _matching(points(population, settings.group, metrics), settings.models)
    if settings.name == "train-test":
        return train_test.train_test(table, settings.group)
    if settings.name == "shape-scale":
        return shape_scale.shape_scale(table, settings.group)
    if settings.name == "counts":
        sizes = table.group_by(["group", "dataset"]).aggregate([("model_id", "count")])
        return counts.counts(sizes.rename_columns({"model_id_count": "n"}).sort_by("group"), settings.group)
    if settings.name == "bars":
        return bars.bars(bars.strength(table, metrics), caption=population.label)
    return quality.quality(table, settings.metric, settings.group)


def _matching(table: pa.Table, globs: list[str]) -> pa.Table:
    """Rows of the models that match one of the globs; ValueError when there is none."""
    import pyarrow as pa

    if not globs:
        return table
    names = table["model_id"].to_pylist()
    chosen = [any(fnmatchcase(name, glob) for glob in globs) for name in names]
    if not any(chosen):
        msg = f"models={','.join(globs)}: expected globs of model_id, none of {len(set(names))} matches"
        raise ValueError(msg)
    return table.filter(pa.array(chosen))


def figure(request: Request) -> Path:
    """Draw it; returns the file."""
    from zoospectra.jobs.show.figures.files import write

    (path,) = write([request.figure], request.folder, request.format)
    return path


def show(path: Path) -> None:
    """Where it is."""
    from zoospectra.jobs.show.plain import plain

    print(f"{plain(str(path))}, its numbers beside it as .csv and .parquet")


WORDS = (
    Positional("name", "NAME"),
    Positional("model", "MODEL", optional=True),
    Positional("layer", "LAYER", optional=True),
)
VERB = Verb(HELP, FigureSettings, check, figure, show, positional=WORDS)
