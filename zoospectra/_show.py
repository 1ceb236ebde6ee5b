"""How an Analysis looks: 80 columns of text, and a table for a notebook."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Protocol

import pyarrow as pa

TEXT_ROWS, HTML_ROWS = 20, 100
"""Most layers shown; all are in the table."""

NAME_WIDTH = 28
MEANS = ("alpha", "alpha_weighted", "log_norm", "log_spectral_norm", "stable_rank")
"""Metrics of the first line."""
TEXT_COLUMNS = ("alpha", "D", "stable_rank")
HTML_COLUMNS = ("alpha", "sigma", "D", "xmin", "num_pl_spikes", "alpha_weighted", "log_norm", "stable_rank")
STYLE = "text-align:right;font-variant-numeric:tabular-nums"


class Shown(Protocol):
    """What is needed of an Analysis."""

    @property
    def name(self) -> str:
        """What was analysed."""

    @property
    def profile(self) -> str:
        """Profile's name."""

    @property
    def layers(self) -> pa.Table:
        """One row a layer."""

    @property
    def skipped(self) -> pa.Table:
        """One row a tensor."""

    def summary(self) -> dict[str, int | float | None]:
        """Means."""


def text(analysis: Shown) -> str:
    """Heading, means and the first layers in lines of at most 80 characters."""
    header = ["layer", "type", "shape", *TEXT_COLUMNS, "remark"]
    cells = [_cells(row, TEXT_COLUMNS) for row in analysis.layers.slice(0, TEXT_ROWS).to_pylist()]
    rows = [header, *([_elided(name, NAME_WIDTH), *rest] for name, *rest in cells)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    left = {0, 1, len(header) - 1}
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    head = [*_wrapped(_heading(analysis)), *_wrapped(_means(analysis))]
    more = analysis.layers.num_rows - TEXT_ROWS
    foot = [f"... and {more} more layers"] if more > 0 else []
    foot += _wrapped(_skips(analysis))
    return "\n".join([*head, *([line[:80] for line in lines] if cells else []), *foot])


def html(analysis: Shown) -> str:
    """The same with more columns, and every skipped tensor folded away; whatever a file named is escaped."""
    header = ("layer", "type", "shape", *HTML_COLUMNS, "remark")
    body = "".join(
        f"<tr>{''.join(_cell(cell, column in HTML_COLUMNS) for cell, column in zip(row, header, strict=True))}</tr>"
        for row in (_cells(row, HTML_COLUMNS) for row in analysis.layers.slice(0, HTML_ROWS).to_pylist())
    )
    more = analysis.layers.num_rows - HTML_ROWS
    skips = "".join(
        f"<tr>{''.join(_cell(str(row[name] or ''), False) for name in ('tensor', 'reason', 'detail'))}</tr>"
        for row in analysis.skipped.slice(0, 1000).to_pylist()
    )
    return (
        f"<div><p><b>{escape(_heading(analysis))}</b><br>{escape(_means(analysis))}</p>"
        f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in header)}</tr></thead><tbody>{body}</tbody></table>"
        + (f"<p>... and {more} more layers</p>" if more > 0 else "")
        + (f"<details><summary>{escape(_skips(analysis))}</summary><table>{skips}</table></details>" if skips else "")
        + "</div>"
    )


def _heading(analysis: Shown) -> str:
    count = analysis.layers.num_rows
    return f"{analysis.name}: {count} layer{'' if count == 1 else 's'} under the profile {analysis.profile}"


def _means(analysis: Shown) -> str:
    values = analysis.summary()
    known = [f"{name} {_number(values[name])}" for name in MEANS if values.get(name) is not None]
    return f"means over the {values['num_layers']} that count: {', '.join(known)}" if known else "no layer counts"


def _skips(analysis: Shown) -> str:
    reasons = Counter(analysis.skipped["reason"].to_pylist())
    return "not analysed: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items()) if reasons else ""


def _cells(row: dict[str, object], columns: Sequence[str]) -> list[str]:
    """Text of one layer: name, type, shape, numbers, and what there is to say."""
    shape = f"{row['N']}x{row['M']}" + (f"x{row['rf']}" if row["rf"] != 1 else "")
    status = str(row["status"])
    remark = str(row["warning"] or "") if status == "success" else status
    return [str(row["longname"]), str(row["layer_type"]), shape, *(_number(row.get(name)) for name in columns), remark]


def _number(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else "-"


def _elided(name: str, width: int) -> str:
    """A long name without its middle: both ends tell layers apart."""
    half = (width - 3) // 2
    return name if len(name) <= width else f"{name[:half]}...{name[-half:]}"


def _wrapped(line: str) -> list[str]:
    """Lines of at most 80 characters, broken at spaces."""
    return textwrap.wrap(line, 80, subsequent_indent="  ")


def _cell(text: str, is_number: bool) -> str:
    return f'<td style="{STYLE}">{escape(text)}</td>' if is_number else f"<td>{escape(text)}</td>"
