"""A table of a study as dots, a panel for each column: what a study draws that has no picture of its own."""

from __future__ import annotations

import math

import pyarrow as pa

from zoospectra.jobs.show.figures.record import Axis, Figure, Mark, Panel

MOST_ROWS, MOST_COLUMNS = 40, 3


def dots(cells: pa.Table, table_id: str) -> Figure:
    """The figure of one table of a study; cells: row, column, value and n, of which value and n may be NULL."""
    rows = cells.to_pylist()
    known = [row for row in rows if row["value"] is not None and math.isfinite(row["value"])]
    labels = list(dict.fromkeys(row["row"] for row in known))
    columns = list(dict.fromkeys(row["column"] for row in known))
    drawn, shown = labels[:MOST_ROWS], columns[:MOST_COLUMNS]
    sizes = {row["row"]: row["n"] for row in known}
    categories = tuple(name if sizes[name] is None else f"{name}: n {sizes[name]}" for name in drawn)
    caption = f"n = {len(known)} cells"
    caption += f"; {len(labels) - len(drawn)} more rows" if len(labels) > len(drawn) else ""
    caption += f"; {len(columns) - len(shown)} more columns" if len(columns) > len(shown) else ""
    name, title = f"table-{table_id}", f"Table {table_id}"
    if not known:
        why = next((row["reason"] for row in rows if row.get("reason")), "the table has no numbers")
        return Figure(name, title, caption, (Panel("", Axis("value"), Axis("row"), note=why),), {"data": cells}, 1)
    panels = []
    for i, column in enumerate(shown):
        chosen = [row for row in known if row["column"] == column and row["row"] in drawn]
        x = tuple(float(row["value"]) for row in chosen)
        y = tuple(float(drawn.index(row["row"])) for row in chosen)
        mark = Mark("points", x, y, colour=i, names=tuple(row["row"] for row in chosen))
        panels.append(Panel("", Axis(column), Axis("", categories=categories), (mark,)))
    return Figure(name, title, caption, tuple(panels), {"data": cells}, len(panels))
