"""How the fit of a layer was chosen: D and alpha of every candidate xmin; contest, figure 8, last column."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from zoospectra.jobs.show.figures.quantities import quantity
from zoospectra.jobs.show.figures.record import FOREGROUND, Axis, Figure, Mark, Panel, numbers

FEW = 3
"""Candidates below which there was no search."""


def search(curve: pa.Table) -> Figure:
    """The figure of a layer, or of its first slice under a profile that does not pool them.

    curve: table 'curve' of jobs.work.figure.
    """
    rows = curve.to_pylist()
    if rows:
        rows = [row for row in rows if row["slice_id"] == rows[0]["slice_id"]]
    x = Axis("xmin, least eigenvalue of the tail", log=True)
    name = f"{rows[0]['model_id']}: {rows[0]['longname']}" if rows else "Search for xmin"
    if len(rows) < FEW:
        note = f"{len(rows)} candidates for xmin, at least {FEW} are needed"
        return Figure("search", name, note, (Panel("", x, Axis("D"), note=note),), {"data": curve}, 1)
    chosen = [row["xmin"] for row in rows if row["chosen"]]
    places = numbers([row["xmin"] for row in rows])
    panels = []
    for i, column in enumerate(("D", "alpha")):
        values = numbers([row[column] for row in rows])
        line = Mark("line", places, values, colour=i)
        rule = Mark("rule", numbers(chosen), label="chosen xmin", colour=FOREGROUND, dashed=True)
        high = _high(values, [row[column] for row in rows if row["chosen"]])
        title = "" if high is None else f"{column} above {high:.2g} cut"
        panels.append(Panel(title, x, Axis(quantity(column), high=high), (line, rule) if chosen else (line,)))
    caption = f"profile {rows[0]['profile']}; n = {len(rows)} candidates"
    caption += f"; chosen: {chosen[0]:.4g}" if chosen else "; none was chosen"
    return Figure("search", name, caption, tuple(panels), {"data": curve})


def _high(values: Sequence[float], chosen: Sequence[float]) -> float | None:
    """Where the axis ends: a tail of a few eigenvalues has any exponent, and would flatten the rest of the curve."""
    most = 1.5 * max([sorted(values)[int(0.9 * len(values))], *chosen])
    return most if 0 < most < max(values) / 2 else None
