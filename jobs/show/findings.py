"""A study's findings on a terminal: its tables as far as they fit, its sentences, and what is in the files alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from textwrap import fill

import pyarrow as pa

from zoospectra.analysis.studies.record import Findings
from zoospectra.jobs.show.display import print_table, room
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.show.tables import pivots

SMALL = 40
"""Rows of a table that is printed whole."""
HEAD = 12
"""First rows of a larger one: studies put what matters most first. Only of the first table, the others are named."""
DIGITS = 4
"""Significant digits; the files have all."""
APART = " / "
"""Between the parts of a row's label."""


def print_findings(findings: Findings) -> None:
    """Tables, then sentences; what is not printed is named."""
    left: list[str] = []
    for place, (title, table) in enumerate(pivots(findings).items()):
        if table.num_rows > SMALL and place:
            left.append(f"{title} ({table.num_rows} rows)")
        else:
            _print(title, table)
    for note in findings.notes:
        print(_wrapped(note))
    if left:
        print(_wrapped(f"in the files alone, for their length: {', '.join(left)}"))


def _print(title: str, table: pa.Table) -> None:
    """One table under its name, with what all labels begin with; the verdict stands before the numbers."""
    total = table.num_rows
    shown = without_empty(table.slice(0, SMALL if total <= SMALL else HEAD))
    labels, shared = parted(shown["row"].to_pylist())
    names = ["row", *(name for name in ("n", "verdict") if name in shown.column_names)]
    names += [name for name in shown.column_names if name not in names]
    shown = shown.select(names).set_column(0, "row", pa.array(labels, pa.string()))
    head = f"{title}: {shared}" if shared else title
    count = f", {shown.num_rows} of {total} rows" if shown.num_rows < total else ""
    print_table(shown, f"{head}{count}", digits=DIGITS, fold=True, keep=("verdict",))


def parted(labels: Sequence[str]) -> tuple[list[str], str]:
    """Labels without the parts that all begin with, and these; every label keeps at least its last part."""
    split = [label.split(APART) for label in labels]
    if len(split) < 2:
        return list(labels), ""
    most = min(map(len, split)) - 1
    shared = next((at for at in range(most) if len({parts[at] for parts in split}) > 1), most)
    return [APART.join(parts[shared:]) for parts in split], APART.join(split[0][:shared])


def without_empty(table: pa.Table) -> pa.Table:
    """The table without columns that hold nothing."""
    return table.select([name for name in table.column_names if table[name].null_count < table.num_rows])


def _wrapped(text: str) -> str:
    """A sentence on lines of a terminal, those after the first moved in; one line where the output goes elsewhere."""
    clean = plain(text)
    if not sys.stdout.isatty():
        return clean
    return fill(clean, room(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
