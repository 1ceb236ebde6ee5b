"""Formats of figures, and their check; imports nothing, so that a mistake is answered at once."""

from __future__ import annotations

FORMATS = ("svg", "pdf", "png")
"""What a figure is written as."""


def check_format(key: str, wanted: str, *others: str) -> None:
    """Raise ValueError '<key>=<wanted>: expected one of ...' for what is no format and none of `others`."""
    if wanted not in (*FORMATS, *others):
        msg = f"{key}={wanted}: expected one of {', '.join((*FORMATS, *others))}"
        raise ValueError(msg)
