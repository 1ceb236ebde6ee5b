"""How many models there are of each sub-group and data set, drawn as a table: contest, table 4; 2021, supplement."""

from __future__ import annotations

import pyarrow as pa

from zoospectra.jobs.show.figures.record import Axis, Figure, Mark, Panel

MOST_ROWS, MOST_COLUMNS = 40, 8


def counts(table: pa.Table, grouping: str = "series") -> Figure:
    """The figure of a table with columns group, dataset and n; empty cells are 0."""
    cells = {
        (str(r["group"] or f"no {grouping}"), str(r["dataset"] or "no data set")): r["n"] for r in table.to_pylist()
    }
    rows = list(dict.fromkeys(group for group, _ in cells))
    columns = list(dict.fromkeys(dataset for _, dataset in cells))
    caption = f"n = {sum(cells.values())} models; groups: {len(rows)}"
    caption += f"; the first {MOST_ROWS} are drawn" if len(rows) > MOST_ROWS else ""
    rows, columns = rows[:MOST_ROWS], columns[:MOST_COLUMNS]
    x, y = Axis("data set", categories=tuple(columns)), Axis(grouping, categories=tuple(rows))
    title = f"Models by {grouping} and data set"
    if not cells:
        return Figure("counts", title, caption, (Panel("", x, y, note="there are no models"),), {"data": table}, 1)
    places = [(float(c), float(r)) for r in range(len(rows)) for c in range(len(columns))]
    names = tuple(str(cells.get((row, column), 0)) for row in rows for column in columns)
    mark = Mark("text", tuple(x for x, _ in places), tuple(y for _, y in places), names=names)
    return Figure("counts", title, caption, (Panel("", x, y, (mark,)),), {"data": table}, 1)
