"""A straight line with its 95 % band as marks, and the row of numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.band import band
from zoospectra.jobs.show.figures.record import FOREGROUND, Mark, numbers

SMALLEST = 4
"""Points a line needs, as in the papers' tables."""
STEPS = 41
"""Places at which a band is drawn."""
COLUMNS = pa.schema(
    [
        ("group", pa.string()),
        ("n", pa.int64()),
        *((name, pa.float64()) for name in ("slope", "intercept", "r2", "rmse", "kendall_tau", "slope_p")),
        ("reason", pa.string()),
    ]
)
"""Of the table 'lines'."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A line, or why there is none."""

    marks: tuple[Mark, ...]
    """Band and line; none for too few points."""
    label: str
    """Group, n, R2 and Kendall's tau."""
    row: dict[str, str | float | int | None]
    """Of the table 'lines'."""


def fitted(
    group: str, x: Sequence[float], y: Sequence[float], colour: int = FOREGROUND, smallest: int = SMALLEST
) -> Fitted:
    """Ordinary least squares y = a + b x through one group's points."""
    line = regression(x, y)
    few = f"{line.n} points, at least {smallest} are needed" if line.n < smallest else line.reason
    row = {name: None if line.n < smallest else getattr(line, name) for name in COLUMNS.names[1:]}
    row |= {"group": group, "n": line.n, "reason": few}
    if line.n < smallest or line.slope is None or line.intercept is None:
        return Fitted((), f"{group}: n {line.n}, {'too few for a line' if line.n < smallest else few}", row)
    places = np.linspace(min(x), max(x), STEPS)
    edges = band(line, places)
    marks = [Mark("line", numbers(places), numbers(line.intercept + line.slope * places), colour=colour)]
    if edges is not None:
        marks.insert(0, Mark("band", numbers(places), low=numbers(edges.low), high=numbers(edges.high), colour=colour))
    r2, tau = (("-" if value is None else f"{value:.2f}") for value in (line.r2, line.kendall_tau))
    return Fitted(tuple(marks), f"{group}: n {line.n}, R2 {r2}, tau {tau}", row)
