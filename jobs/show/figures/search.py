"""How the fit of a layer was chosen: D and alpha of every candidate xmin; contest, figure 8, last column."""

from __future__ import annotations

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
    title = f"{rows[0]['model_id']}: {rows[0]['longname']}" if rows else "Search for xmin"
    if len(rows) < FEW:
        note = f"{len(rows)} candidates for xmin, at least {FEW} are needed"
        return Figure("search", title, note, (Panel("", x, Axis("D"), note=note),), {"data": curve}, 1)
    chosen = [row["xmin"] for row in rows if row["chosen"]]
    places = numbers([row["xmin"] for row in rows])
    panels = []
    for i, column in enumerate(("D", "alpha")):
        line = Mark("line", places, numbers([row[column] for row in rows]), colour=i)
        rule = Mark("rule", numbers(chosen), label="chosen xmin", colour=FOREGROUND, dashed=True)
        panels.append(Panel("", x, Axis(quantity(column)), (line, rule) if chosen else (line,)))
    caption = f"profile {rows[0]['profile']}; n = {len(rows)} candidates"
    caption += f"; chosen: {chosen[0]:.4g}" if chosen else "; none was chosen"
    return Figure("search", title, caption, tuple(panels), {"data": curve})
