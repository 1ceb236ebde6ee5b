"""How tails are fitted: the group `fit` of a scan and a refit."""

from __future__ import annotations

from dataclasses import dataclass

ENGINES = ("own", "powerlaw")
"""Who fits: our search, or our search with the `powerlaw` package's fit beside it."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How tails are fitted."""

    engine: str = "own"
    """One of ENGINES."""

    def __post_init__(self) -> None:
        """Refuse an unknown engine."""
        if self.engine not in ENGINES:
            msg = f"engine={self.engine}: expected one of {', '.join(ENGINES)}"
            raise ValueError(msg)
