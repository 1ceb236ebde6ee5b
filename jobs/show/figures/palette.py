"""Colours and markers that stay apart for colour-blind readers, in grey print, and on light and dark ground.

Okabe and Ito (2008), without black and yellow, which vanish on one of the grounds.
"""

from __future__ import annotations

from zoospectra.jobs.show.figures.record import FOREGROUND, GREY

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""As matplotlib names them."""
MOST = len(COLOURS)
"""Groups that one panel tells apart."""


def colour(position: int, foreground: str = "#222222", grey: str = "#8A8A8A") -> str:
    """Colour of a mark as a hexadecimal triple."""
    return {FOREGROUND: foreground, GREY: grey}.get(position) or COLOURS[position % MOST]


def elided(name: str, width: int = 30) -> str:
    """A long name without its middle: both ends tell names apart."""
    half = (width - 1) // 2
    return name if len(name) <= width else f"{name[:half]}…{name[-half:]}"
