"""What a crawl looks at just now, for whoever wants to know why it does not come back: a hung mount answers nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Watch:
    """The last file or folder that was looked at."""

    path: str = ""
    """Which; '' while nothing is."""
    since: float = 0.0
    """When that began, monotonic seconds."""

    def at(self, path: str) -> None:
        """A look begins."""
        self.path, self.since = path, time.monotonic()

    def seconds(self) -> float:
        """How long the present look has taken; 0 when there is none."""
        return time.monotonic() - self.since if self.path else 0.0


WATCH = Watch()
"""Of this process."""
