"""Figures as files: the drawing, and beside it every table of its numbers as CSV and Parquet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zoospectra.jobs.show.figures.draw import MISSING, available, render
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.tables import both, safe
from zoospectra.warehouse.disk import written


def write(figures: Iterable[Figure], folder: Path, format_: str) -> tuple[Path, ...]:
    """Draw every figure into the folder, made where it is missing; returns the drawings, in order.

    NAME.svg, with NAME.csv and NAME.parquet of what is drawn; other tables are NAME-TABLE. Raises ValueError when
    matplotlib is missing, before anything is written.
    """
    if not available():
        raise ValueError(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for figure in figures:
        name = safe(figure.name)
        for table, rows in figure.tables.items():
            both(rows, folder / (name if table == "data" else f"{name}-{safe(table)}"))
        path = folder / f"{name}.{format_}"
        drawing = render(figure, format_)
        with written(path):
            path.write_bytes(drawing)
        drawn.append(path)
    return tuple(drawn)
