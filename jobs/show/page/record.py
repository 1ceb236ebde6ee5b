"""What a page is before it is HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from zoospectra.jobs.show.figures.record import Figure


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page."""

    title: str
    """Its heading."""
    sentences: tuple[str, ...] = ()
    """A paragraph each."""
    figures: tuple[Figure, ...] = ()
    """With their numbers."""
    tables: Mapping[str, pa.Table] | None = None
    """Caption -> table."""
    explorer: Mapping[str, Any] | None = None
    """Data of the figure with controls, see jobs.show.page.explorer."""
    choice: str = ""
    """What one chooses of the figures, which then are shown one at a time; '' shows all."""


@dataclass(frozen=True, slots=True)
class Page:
    """A report."""

    title: str
    """Of what."""
    subtitle: str
    """Warehouse, generation."""
    sections: tuple[Section, ...]
    """From top to bottom."""
