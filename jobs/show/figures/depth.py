"""A metric from the first layer to the last: correlation flow (alpha), scale collapse (norms); 2021, figures 3, 5."""

from __future__ import annotations

import pyarrow as pa

from zoospectra.analysis.layer import OVER_TRAINED, UNDER_TRAINED
from zoospectra.jobs.show.figures.palette import MOST
from zoospectra.jobs.show.figures.quantities import quantity
from zoospectra.jobs.show.figures.record import GREY, Axis, Figure, Mark, Panel

FEW = 3
"""Layers below which a course means nothing."""
BOUNDS = {"alpha": (OVER_TRAINED, UNDER_TRAINED)}
"""Metric -> levels that the papers name: tails between them are those of trained layers."""


def depth(table: pa.Table, metric: str = "alpha", relative: bool = True) -> Figure:
    """The figure of up to seven models under one profile, a line each; of more, the deepest of each series.

    table: model_id, profile, longname and the metric, and series where it is known, one row a layer in the order of
    depth. `relative` runs from 0, the first layer with a number, to 1, the last; else x is the number of the layer.
    """
    courses: dict[str, list[dict[str, object]]] = {}
    names = [name for name in ("model_id", "series", "longname", metric) if name in table.column_names]
    for row in table.select(names).to_pylist():
        if row[metric] is not None:
            courses.setdefault(str(row["model_id"]), []).append(row)
    long = {name: rows for name, rows in courses.items() if len(rows) >= FEW}
    drawn = _chosen(long)
    marks = [mark for i, (name, rows) in enumerate(drawn.items()) for mark in _course(name, rows, metric, i, relative)]
    profile = table["profile"][0].as_py() if len(table) else "none"
    x = Axis("relative depth: 0 first layer, 1 last" if relative else "layer, in the order of the checkpoint")
    axes = x, Axis(quantity(metric))
    title = {"alpha": "Correlation flow: alpha by depth"}.get(metric, f"{metric} by depth")
    sizes = [len(rows) for rows in drawn.values()]
    caption = f"profile {profile}; n = {_range(sizes)} layers"
    short = len(courses) - len(long)
    caption += (
        f"; {len(drawn)} of {len(long)} models, the deepest of each series first" if len(long) > len(drawn) else ""
    )
    caption += f"; left out: {short} models with fewer than {FEW} layers" if short else ""
    if not drawn:
        panel = Panel("", *axes, note=f"no model has {metric} of {FEW} layers")
        return Figure(f"depth-{metric}", title, caption, (panel,), {"data": table}, 1)
    levels = tuple(Mark("level", y=(level,), colour=GREY, dashed=True) for level in BOUNDS.get(metric, ()))
    caption += f"; dashed: {metric} {' and '.join(f'{level:g}' for level in BOUNDS[metric])}" if levels else ""
    return Figure(f"depth-{metric}", title, caption, (Panel("", *axes, (*levels, *marks)),), {"data": table}, 1)


def _chosen(courses: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    """All, or MOST of them: the deepest of each series, then the second of each, and so on; in the order given."""
    if len(courses) <= MOST:
        return courses
    seen: dict[object, int] = {}
    places = {}
    for name in sorted(courses, key=lambda name: -len(courses[name])):
        series = courses[name][0].get("series")
        places[name] = seen[series] = seen.get(series, -1) + 1
    first = sorted(courses, key=lambda name: (places[name], -len(courses[name])))[:MOST]
    return {name: rows for name, rows in courses.items() if name in first}


def _range(sizes: list[int]) -> str:
    """How many layers the courses have."""
    if not sizes:
        return "no"
    return f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def _course(model: str, rows: list[dict[str, object]], metric: str, colour: int, relative: bool) -> tuple[Mark, Mark]:
    last = len(rows) - 1
    x = tuple(i / last if relative else float(i) for i in range(len(rows)))
    y = tuple(float(row[metric]) for row in rows)  # type: ignore[arg-type]
    names = tuple(f"{model} {row['longname']}" for row in rows)
    return Mark("line", x, y, colour=colour), Mark("points", x, y, label=model, colour=colour, names=names)
