"""What a figure is before anything draws it: panels of marks on axes, a caption, and the tables with its numbers.

Drawn by matplotlib (draw.py) as SVG, PDF and PNG, and by Vega-Lite (jobs.show.page.vega) on a page. Not covered: any
computation; a figure's function does it. Texts are plain: no markup of either library is obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Kind = Literal["points", "line", "band", "bars", "steps", "rule", "level", "text"]
"""points: (x, y); line: in order of x; band: between low and high over x; bars: from 0 to x at category y; steps: a
histogram's outline, x are the edges, one more than y; rule: vertical at each x; level: horizontal at each y; text:
names at categories (x, y)."""
FOREGROUND, GREY = -1, -2
"""Colours that are no group's: of what is about all, and of what stands behind."""

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis."""

    label: str
    """Quantity and unit."""
    log: bool = False
    """Logarithmic, base 10."""
    categories: tuple[str, ...] = ()
    """Names at 0, 1, ...; none for numbers."""
    high: float | None = None
    """Where it is cut, from 0; None for all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that is drawn."""

    kind: Kind
    """How."""
    x: Numbers = ()
    """In the unit of the axis."""
    y: Numbers = ()
    """In the unit of the axis."""
    low: Numbers = ()
    """Lower edge of a band."""
    high: Numbers = ()
    """Upper edge of a band."""
    label: str = ""
    """In the legend; '' for none."""
    colour: int = FOREGROUND
    """Position in the palette, FOREGROUND or GREY; groups of points have the marker of their colour too."""
    names: tuple[str, ...] = ()
    """What each point is."""
    dashed: bool = False
    """A dashed line."""
    width: float = 0.8
    """Of bars, in categories."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes."""

    title: str
    """Above it."""
    x: Axis
    """Horizontal."""
    y: Axis
    """Vertical."""
    marks: tuple[Mark, ...] = ()
    """In the order of drawing."""
    note: str = ""
    """What to say in place of marks: why there is nothing to draw."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its numbers."""

    name: str
    """Of its files, without a suffix."""
    title: str
    """What it shows."""
    caption: str
    """Profile, data set, n, and what lines and bands are."""
    panels: tuple[Panel, ...]
    """Row by row."""
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    """Name -> tidy table: 'data' has what is drawn, 'lines' the regressions."""
    columns: int = 2
    """Panels in a row."""


def numbers(values: object) -> Numbers:
    """A column, list or array as plain numbers."""
    return tuple(float(value) for value in values)  # type: ignore[attr-defined]
