"""Rows of a benchmark as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from zoospectra.jobs.benches.pair import Row
from zoospectra.jobs.records.provenance import git_commit, versions

PACKAGES = ("zoospectra", "python", "numpy", "scipy", "torch")
HEAD = ("suite", "case", "contender", "seconds", "times the first (least - most)", "difference", "rounds")


def markdown(rows: Sequence[Row], load: float) -> str:
    """A table with a line of provenance above: machine, versions, load when it began."""
    known = versions()
    packages = ", ".join(f"{name} {known[name]}" for name in PACKAGES)
    commit = (git_commit() or "no checkout")[:12]
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start; {packages}; commit {commit}",
        "",
        f"| {' | '.join(HEAD)} |",
        f"|{'---|' * len(HEAD)}",
        *(f"| {' | '.join(cells(row))} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    """One row's words, in the order of HEAD."""
    spread = f"{row.ratio:.2f} ({row.ratio_least:.2f} - {row.ratio_most:.2f})"
    difference = "-" if row.difference is None else f"{row.difference:.0e}"
    return (row.suite, row.case, row.contender, f"{row.seconds:.4g}", spread, difference, str(row.rounds))
