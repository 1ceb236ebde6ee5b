"""What a check is given and what it answers: a subject in, a report of findings out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEVERITIES = ("note", "warning", "error")
"""How bad a finding is, the mildest first: worth knowing; look at it; broken."""

NEVER = "never"
"""Value of `fail=` under which no finding fails a check."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: one model, or a warehouse."""

    name: str
    """What people call it: a path, a model_id, or the folder of a warehouse."""
    path: str | None
    """Checkpoint file, folder or locator; None for a model that only the warehouse has, and for a warehouse."""
    warehouse: Path
    """Folder of the warehouse; it need not exist for a checkpoint."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check objects to, or wants known."""

    severity: str
    """One of SEVERITIES."""
    model: str
    """Subject's name."""
    layer: str | None
    """Layer's longname, a tensor or a file; None for the whole."""
    reason: str
    """Stable code for programs, such as 'untrained'."""
    words: str
    """What it means and what to do, one sentence."""
    value: float | None = None
    """What was measured."""
    threshold: float | None = None
    """What it lies beyond."""
    source: str = ""
    """Where the threshold comes from."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table below the findings."""

    title: str
    """What it shows."""
    names: tuple[str, ...]
    """Columns; the first names the row."""
    rows: tuple[tuple[Any, ...], ...]
    """Plain values, one tuple a row."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of one check about one subject."""

    check: str
    """Name of the check."""
    model: str
    """Subject's name."""
    verdict: str
    """Stable code for programs, such as 'trained', 'untrained', 'whole'."""
    summary: str
    """One sentence for people, with the reason."""
    findings: tuple[Finding, ...] = ()
    """The worst first."""
    sections: tuple[Section, ...] = ()
    """Tables of numbers."""
    notes: tuple[str, ...] = ()
    """Sentences: what was left out and why, where numbers come from."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    run: Callable[[Subject], Report]
    """Looks at one subject. Damage is findings, never an exception; ValueError for what the user can mend."""
    help: str
    """What it looks at, one line."""
    of_warehouse: bool = False
    """Whether its subject is a warehouse and not a model."""
