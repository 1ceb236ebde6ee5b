"""One quantity of models against another, pooled and by group: the picture in which Simpson's paradox is seen.

Up to seven groups are drawn in one panel, each with its line; more have a panel each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from zoospectra.jobs.show.figures.lines import COLUMNS, SMALLEST, Fitted, fitted
from zoospectra.jobs.show.figures.palette import MOST
from zoospectra.jobs.show.figures.record import FOREGROUND, GREY, Axis, Figure, Mark, Panel

PANELS = 29
"""Most panels of groups in a figure; the rest is in its tables, and the caption says so."""
POOLED = "all"


@dataclass(frozen=True, slots=True)
class Scatter:
    """What is drawn against what."""

    name: str
    """Of the figure's files."""
    title: str
    """Of the figure."""
    caption: str
    """Profile, data set."""
    x: str
    """Column."""
    y: str
    """Column."""
    x_label: str
    """Quantity and unit."""
    y_label: str
    """Quantity and unit."""
    grouping: str = "series"
    """What the column `group` holds."""
    smallest: int = SMALLEST
    """Points a line needs."""


@dataclass(frozen=True, slots=True)
class _Points:
    """Points of one group that have both numbers."""

    x: list[float]
    y: list[float]
    names: tuple[str, ...]


def scatter(table: pa.Table, what: Scatter) -> Figure:
    """The figure of a table with columns model_id, group, and the two that `what` names; rows without both are out."""
    points = _groups(table, what)
    every = _Points(
        [value for group in points.values() for value in group.x],
        [value for group in points.values() for value in group.y],
        tuple(name for group in points.values() for name in group.names),
    )
    axes = Axis(what.x_label), Axis(what.y_label)
    pooled = fitted(POOLED, every.x, every.y, smallest=what.smallest)
    known = {name: group for name, group in points.items() if name}
    lines = {name: _line(name, group, i, what) for i, (name, group) in enumerate(known.items())}
    caption = f"{what.caption}; n = {len(every.x)}; lines: least squares with the 95 % band of the mean"
    tables = {"data": table, "lines": pa.Table.from_pylist([f.row for f in (pooled, *lines.values())], COLUMNS)}
    if len(every.x) < what.smallest:
        note = f"{len(every.x)} models have both numbers,\nat least {what.smallest} are needed"
        return Figure(what.name, what.title, what.caption, (Panel("", *axes, note=note),), tables, 1)
    if len(known) < 2:
        marks = (*pooled.marks, Mark("points", tuple(every.x), tuple(every.y), colour=0, names=every.names))
        return Figure(what.name, what.title, caption, (Panel(pooled.label, *axes, marks),), tables, 1)
    title = f"{what.title}, by {what.grouping}"
    if len(known) <= MOST:
        panels = _together(points, pooled, lines, what)
        return Figure(what.name, title, f"{caption}; {what.grouping} by colour", panels, tables)
    panels, left = _apart(points, pooled, lines, what)
    caption += f"; a panel for each {what.grouping} of {what.smallest} or more models"
    caption += f", {left} more in the tables" if left else ""
    return Figure(what.name, title, caption, panels, tables, 3)


def _groups(table: pa.Table, what: Scatter) -> dict[str, _Points]:
    """Group -> its points, by name; those without a group last, under ''."""
    groups: dict[str, _Points] = {}
    rows = table.select(dict.fromkeys(["model_id", "group", what.x, what.y])).to_pylist()
    for row in sorted(rows, key=lambda row: _order(row["group"])):
        if row[what.x] is not None and row[what.y] is not None:
            old = groups.get(str(row["group"] or ""), _Points([], [], ()))
            new = _Points([*old.x, row[what.x]], [*old.y, row[what.y]], (*old.names, str(row["model_id"])))
            groups[str(row["group"] or "")] = new
    return groups


def _line(name: str, group: _Points, colour: int, what: Scatter) -> Fitted:
    """The line of one group; a group that is called by a number says of what."""
    line = fitted(name, group.x, group.y, colour, what.smallest)
    return replace(line, label=f"{what.grouping} {line.label}") if _is_number(name) else line


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _order(group: str | None) -> tuple[bool, float, str]:
    """Numbers by their size, then names; what has no group last."""
    try:
        return group is None, float(group or "inf"), ""
    except ValueError:
        return False, float("inf"), str(group)


def _together(groups: dict[str, _Points], pooled: Fitted, lines: dict[str, Fitted], what: Scatter) -> tuple[Panel, ...]:
    """All points with one line; all points with a line for each group."""
    dots = []
    for i, (name, group) in enumerate(groups.items()):
        label, colour = (lines[name].label, i) if name else (f"no {what.grouping}: n {len(group.x)}", GREY)
        dots.append(Mark("points", tuple(group.x), tuple(group.y), label=label, colour=colour, names=group.names))
    axes = Axis(what.x_label), Axis(what.y_label)
    inside = [mark for line in lines.values() for mark in line.marks]
    within = Panel(f"By {what.grouping}", *axes, (*inside, *dots))
    return Panel(pooled.label, *axes, (*pooled.marks, *dots)), within


def _apart(
    groups: dict[str, _Points], pooled: Fitted, lines: dict[str, Fitted], what: Scatter
) -> tuple[tuple[Panel, ...], int]:
    """All points with one line, then a panel for each group that has a line; and how many have none."""
    axes = Axis(what.x_label), Axis(what.y_label)
    dots = [Mark("points", tuple(g.x), tuple(g.y), colour=GREY, names=g.names) for g in groups.values()]
    panels = [Panel(pooled.label, *axes, (*dots, *pooled.marks))]
    drawn = [name for name, line in lines.items() if line.marks][:PANELS]
    for name in drawn:
        group, line = groups[name], lines[name]
        marks = [Mark(m.kind, m.x, m.y, m.low, m.high, colour=FOREGROUND) for m in line.marks]
        points = Mark("points", tuple(group.x), tuple(group.y), colour=0, names=group.names)
        head, _, numbers = line.label.rpartition(": n ")
        panels.append(Panel(f"{head}\nn {numbers}", *axes, (*marks, points)))
    return tuple(panels), len(lines) - len(drawn)
