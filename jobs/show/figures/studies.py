"""Which figures a study draws: its kind -> the figures of its points, layers and cells; pure.

A kind that is not listed, one of another package too, has its tables drawn as dots.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import Population, populations
from zoospectra.analysis.studies.record import Cell, Designs, Findings
from zoospectra.jobs.show.figures.bars import STRENGTH, bars
from zoospectra.jobs.show.figures.counts import counts
from zoospectra.jobs.show.figures.depth import depth
from zoospectra.jobs.show.figures.dots import dots
from zoospectra.jobs.show.figures.histogram import histogram
from zoospectra.jobs.show.figures.points import points, points_table
from zoospectra.jobs.show.figures.quality import quality
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.shape_scale import shape_scale
from zoospectra.jobs.show.figures.train_test import train_test

MOST = 4
"""Populations, profiles or tables of each kind that are drawn; the rest is in the study's tables."""
NORMS = ("log_norm", "log_spectral_norm", "alpha")


@dataclass(frozen=True, slots=True)
class Material:
    """What a study has to draw from."""

    designs: Designs
    """Rows of its SELECTs."""
    options: Any
    """Options of its kind."""
    findings: Findings
    """What it results."""
    layers: pa.Table
    """Layers that count, of every model and profile, see warehouse/sql/studies/figures/layers.sql."""
    printed: Mapping[str, Any] | None = None
    """Numbers that a paper printed."""


def study_figures(kind: str, material: Material) -> list[Figure]:
    """The figures of a study, each under a name of its own; at least one."""
    made = list(KINDS.get(kind, _tables)(material)) or list(_tables(material))
    names: dict[str, int] = {}
    results = []
    for figure in made:
        names[figure.name] = names.get(figure.name, 0) + 1
        name = figure.name if names[figure.name] == 1 else f"{figure.name}-{names[figure.name]}"
        results.append(dataclasses.replace(figure, name=name))
    return results


def _tables(material: Material) -> Iterator[Figure]:
    """Tables as dots."""
    tables = dict.fromkeys(cell.table_id for cell in material.findings.cells)
    for table_id in list(tables)[:MOST]:
        cells = [cell for cell in material.findings.cells if cell.table_id == table_id]
        rows = [{name: getattr(cell, name) for name in ("row", "column", "value", "n", "reason")} for cell in cells]
        fields = [("row", pa.string()), ("column", pa.string()), ("value", pa.float64()), ("n", pa.int64())]
        yield dots(pa.Table.from_pylist(rows, pa.schema([*fields, ("reason", pa.string())])), table_id)
    if not tables:
        why = material.findings.notes[0] if material.findings.notes else "the study has no cells"
        yield dots(pa.table({"row": [""], "column": [""], "value": [None], "n": [None], "reason": [why]}), "none")


def _populations(material: Material) -> list[Population]:
    """The study's populations of most models."""
    results = populations(material.designs, material.options)
    return sorted(results, key=lambda population: -len(population.rows))[:MOST]


def _simpson(material: Material) -> Iterator[Figure]:
    """The first pairs of each population, the strength of every metric by series, and how many models there are."""
    smallest = material.options.smallest
    for population in _populations(material):
        pairs = _pairs(material.findings.cells, population.label)[:2] or [("alpha", "series")]
        for metric, grouping in pairs:
            yield quality(points(population, grouping, [metric]), metric, grouping, smallest)
        yield _bars(material, "LINES", population.label)
        yield _counts(population, "series")


def _pairs(cells: Sequence[Cell], label: str) -> list[tuple[str, str]]:
    """Metric and grouping of the SIMPSON rows of a population, in the order of the ranking, each metric once."""
    rows = dict.fromkeys(
        cell.row for cell in cells if cell.table_id == "SIMPSON" and cell.row.startswith(f"{label} / ")
    )
    results: dict[str, str] = {}
    for row in rows:
        metric, _, grouping = row.removeprefix(f"{label} / ").partition(" by ")
        results.setdefault(metric, grouping)
    return list(results.items())


def _counts(population: Population, grouping: str) -> Figure:
    labels = [None if label is None else str(label) for label in population.labels(grouping)]
    rows = [
        {"group": label, "dataset": population.target.dataset, "n": labels.count(label)}
        for label in dict.fromkeys(labels)
    ]
    rows.sort(key=lambda row: str(row["group"] or "~"))
    schema = pa.schema([("group", pa.string()), ("dataset", pa.string()), ("n", pa.int64())])
    return counts(pa.Table.from_pylist(rows, schema), grouping)


def _bars(material: Material, table_id: str, label: str) -> Figure:
    """R2 and tau of a study's table: rows 'label / group' with columns 'R2 metric', or 'label / group / metric'."""
    results: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in material.findings.cells:
        word, _, metric = cell.column.partition(" ")
        if cell.table_id == table_id and cell.row.startswith(f"{label} / ") and word in ("R2", "tau"):
            group = cell.row.removeprefix(f"{label} / ")
            if not metric:
                group, _, metric = group.rpartition(" / ")
            row = results.setdefault((group, metric), {"group": group, "metric": metric, "n": cell.n})
            row["r2" if word == "R2" else "kendall_tau"] = cell.value
    title = "How well metrics follow the reported number"
    return bars(pa.Table.from_pylist(list(results.values()), STRENGTH), title, f"table {table_id}; {label}")


def _contest(material: Material) -> Iterator[Figure]:
    """Alpha against scale, training against test, both metrics against the reported number, bars, counts."""
    grouping, smallest = material.options.grouping, material.options.smallest
    for population in _populations(material):
        table = points(population, grouping)
        yield shape_scale(table, grouping, smallest)
        yield train_test(table, grouping, smallest)
        for metric in ("alpha", "log_spectral_norm"):
            yield quality(table, metric, grouping, smallest)
        yield _bars(material, "C_T5", population.label)
        yield _counts(population, grouping)


def _profiles(material: Material) -> Iterator[pa.Table]:
    """Layers by profile, those of the options' one first."""
    wanted = getattr(material.options, "profile", None)
    for profile in pc.unique(material.layers["profile"]).to_pylist()[: MOST if wanted is None else None]:
        if wanted in (None, profile):
            yield material.layers.filter(pc.equal(material.layers["profile"], profile))


def _matching(layers: pa.Table, globs: Sequence[str | None]) -> pa.Table:
    """Layers of the models that match one of the globs; all where there is none."""
    known = [glob for glob in globs if glob is not None]
    if not known:
        return layers
    names = [n for n in pc.unique(layers["model_id"]).to_pylist() if any(fnmatchcase(n, glob) for glob in known)]
    return layers.filter(pc.is_in(layers["model_id"], pa.array(names, pa.string())))


def _flow(material: Material) -> Iterator[Figure]:
    """Alpha by depth, a figure for each profile and series; and its distribution by series."""
    for layers in _profiles(material):
        for series in pc.unique(layers["series"]).to_pylist()[:MOST]:
            alike = pc.is_null(layers["series"]) if series is None else pc.equal(layers["series"], series)
            yield depth(layers.filter(pc.fill_null(alike, False)), "alpha")
        yield histogram(layers, "alpha", "series")


def _collapse(material: Material) -> Iterator[Figure]:
    """Norms and alpha by the number of the layer, of the two versions or of every model."""
    for layers in _profiles(material):
        for metric in NORMS:
            yield depth(_matching(layers, [material.options.model, material.options.base]), metric, relative=False)


def _pair(material: Material) -> Iterator[Figure]:
    """Alpha of the two models by depth and as histograms."""
    for layers in _profiles(material):
        both = _matching(layers, [material.options.model, material.options.other])
        yield depth(both, "alpha")
        yield histogram(both, "alpha")


def _health(material: Material) -> Iterator[Figure]:
    """Alpha and log norms as histograms, and by depth."""
    for layers in _profiles(material):
        chosen = _matching(layers, [getattr(material.options, "model", None)])
        yield histogram(chosen, "alpha")
        yield histogram(chosen, "log_norm")
        yield depth(chosen, "alpha")


def _alpha_hat(material: Material) -> Iterator[Figure]:
    """Strength of the variants by series."""
    labels = [population.label for population in _populations(material)] if material.designs["averages"] else []
    for label in labels:
        yield _bars(material, "ALPHA_HAT", label)


def _natcomm2021(material: Material) -> Iterator[Figure]:
    """The paper's figures from its published data; on any other zoo the four averages against the reported number."""
    from zoospectra.analysis.studies.natcomm2021 import METRICS, PROFILE
    from zoospectra.analysis.studies.printed_figures import figure_1, supplement_points

    printed, options = material.printed or {}, material.options
    for series, rows in figure_1(material.designs, printed).items():
        for metric in METRICS:
            figure = quality(points_table(rows, list(METRICS)), metric)
            yield dataclasses.replace(figure, name=f"{series}-{metric}", title=f"{series}: {figure.title}")
    supplement = supplement_points(material.designs, printed)
    for metric in supplement[0].keys() & {*METRICS, "ln_spectral_norm"} if supplement else ():
        figure = quality(points_table(supplement, [metric]), metric, "data set and architecture")
        yield dataclasses.replace(figure, name=f"supplement-{metric}")
    own = material.layers.filter(pc.equal(material.layers["profile"], PROFILE))
    for name, models in LAYER_FIGURES.items() if len(own) else ():
        chosen = own.filter(pc.is_in(own["name"], pa.array(models, pa.string())))
        draw: Callable[..., Figure] = histogram if name.startswith("histogram") else depth
        figure = draw(chosen, "log_alpha_norm" if name.endswith("norm") else "alpha")
        yield dataclasses.replace(figure, name=name)
    designs = {**material.designs, "catalog": material.designs["averages"]}
    results = populations(designs, PopulationOptions(options.targets, options.datasets))
    for population in [population for population in results if not population.label.startswith(PROFILE)][:MOST]:
        table = points(population, "series", list(METRICS))
        for metric in METRICS:
            yield quality(table, metric, "series", options.smallest)
        yield _counts(population, "series")


LAYER_FIGURES = {
    "depth-VGG": ("vgg11", "vgg19"),
    "depth-ResNet": ("resnet18", "resnet152"),
    "depth-DenseNet": ("densenet121", "densenet161"),
    "histogram-GPT2-alpha": ("gpt2 small", "gpt2 medium", "gpt2 large", "gpt2 xl"),
    "histogram-GPT2-log-alpha-norm": ("gpt2 small", "gpt2 medium", "gpt2 large", "gpt2 xl"),
    "depth-GPT2": ("gpt2 small", "gpt2 medium", "gpt2 large", "gpt2 xl"),
}
"""Figures 3, 6 and 7 of the draft -> models by their names in the catalog."""

KINDS: Mapping[str, Callable[[Material], Iterator[Figure]]] = {
    "simpson": _simpson,
    "contest": _contest,
    "flow": _flow,
    "collapse": _collapse,
    "pair": _pair,
    "health": _health,
    "alpha_hat": _alpha_hat,
    "natcomm2021": _natcomm2021,
}
"""Kind of study -> its figures."""
