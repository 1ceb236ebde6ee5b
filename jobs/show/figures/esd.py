"""The spectrum of one layer on three pairs of axes: fit, xmin, xmax, noise edge, shuffled copy; contest, figure 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from zoospectra.jobs.show.figures.record import GREY, Axis, Figure, Mark, Panel, numbers

Row = dict[str, Any]
Rows = list[Row]
Values = np.ndarray[tuple[int], np.dtype[np.float64]]
FEW = 10
"""Eigenvalues below which a histogram says nothing."""
LAYER, COPY = 0, 1
FIT, NOISE = 3, 2
"""Colours."""
LABEL = "lambda of W^T W, scaled by the profile"


def esd(fit: pa.Table, eigenvalues: pa.Table) -> Figure:
    """The figure of a layer, or of its first slice under a profile that does not pool them.

    fit, eigenvalues: tables 'fit' and 'esd' of jobs.work.figure.
    """
    rows = fit.to_pylist()
    own, copies = rows[0], [row for row in rows if str(row["of"]).startswith("shuffled")]
    values = [row for row in eigenvalues.to_pylist() if row["slice_id"] == own["slice_id"]]
    layer = np.array([row["eigenvalue"] for row in values if row["of"] == "layer"])
    copy = np.array([row["eigenvalue"] for row in values if copies and row["of"] == copies[0]["of"]])
    title = f"{own['model_id']}: {own['longname']}"
    caption = f"profile {own['profile']}; {own['N']} x {own['M']}, n = {len(layer)} eigenvalues; {_fit_words(own)}"
    tables = {"data": eigenvalues, "fit": fit}
    if len(layer) < FEW or layer[-1] <= 0:
        note = f"{len(layer)} eigenvalues, at least {FEW} are needed" if len(layer) < FEW else "all eigenvalues are 0"
        return Figure("esd", title, caption, (Panel("", Axis(LABEL), Axis("density"), note=note),), tables, 1)
    panels = (
        _panel("log-log", layer, copy, values, own, log_x=True, log_y=True),
        _panel("lin-lin", layer, copy, values, own, log_x=False, log_y=False),
        _panel("log-lin", layer, copy, values, own, log_x=True, log_y=False),
    )
    return Figure("esd", title, caption, panels, tables, 3)


def _fit_words(row: Row) -> str:
    if row["alpha"] is None:
        return f"no fit: {row['status']}"
    return f"alpha {row['alpha']:.3f}, D {row['D']:.3f}, xmin {row['xmin']:.3g}, {row['num_pl_spikes']} in the tail"


def _panel(title: str, layer: Values, copy: Values, values: Rows, fit: Row, *, log_x: bool, log_y: bool) -> Panel:
    """One view: density per unit of lambda, or per decade where only x is logarithmic."""
    marks: list[Mark] = []
    decade = log_x and not log_y
    floor = max(layer[-1] * 1e-6, layer[layer > 0][0])
    bins = 30 if len(layer) < 1000 else 60
    edges = np.geomspace(floor, layer[-1], bins + 1) if log_x else np.linspace(0.0, layer[-1], bins + 1)
    widths = np.diff(np.log10(edges) if decade else edges)
    second = 0.0
    for data, label, colour in ((copy, "shuffled copy", COPY), (layer, "layer", LAYER)):
        if len(data):
            density = np.histogram(data, edges)[0] / (len(data) * widths)
            second = max(second, float(density[1:].max()))
            heights = tuple(float(value) if value > 0 or not log_y else float("nan") for value in density)
            marks.append(Mark("steps", numbers(edges), heights, label=label, colour=colour, dashed=colour == COPY))
    marks += _curves(values, floor, log_y, decade)
    for name, label, colour in (("xmin", "xmin", FIT), ("xmax", "xmax", GREY), ("bulk_max", "noise edge", NOISE)):
        value = fit[name]
        if isinstance(value, float) and value > 0:
            marks.append(Mark("rule", (value,), label=label, colour=colour, dashed=True))
    cut = not log_x and second > 0
    y = Axis("density per decade of lambda" if decade else "density", log=log_y, high=1.3 * second if cut else None)
    return Panel(f"{title}, peak at 0 cut" if cut else title, Axis(LABEL, log=log_x), y, tuple(marks))


def _curves(values: Rows, floor: float, log_y: bool, decade: bool) -> list[Mark]:
    """The fitted law and the noise, at the layer's eigenvalues."""
    rows = [row for row in values if row["of"] == "layer" and row["eigenvalue"] >= floor]
    marks = []
    for column, label, colour in (
        ("noise_density", "Marchenko-Pastur", NOISE),
        ("power_law_density", "power law", FIT),
    ):
        known = [row for row in rows if row[column] is not None and (row[column] > 0 or not log_y)]
        if len(known) > 1:
            x = numbers([row["eigenvalue"] for row in known])
            unit = [value * math.log(10) if decade else 1.0 for value in x]
            y = numbers([row[column] * each for row, each in zip(known, unit, strict=True)])
            marks.append(Mark("line", x, y, label=label, colour=colour))
    return marks
