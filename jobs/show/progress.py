"""How far a scan is: a live line on a terminal, plain lines otherwise.

The share of the work is one of predicted seconds, not of tasks; the end is told from it and from the time so far.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from zoospectra.jobs.show.log import log, tell
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.show.units import duration, size

PLAIN_EVERY = 5.0
"""Seconds between two plain lines."""

LOG_EVERY = 60.0
"""Seconds between two lines of a log while the terminal has a live one."""

DAY = 86400.0
"""Seconds from which the end of a run is told with its weekday."""

LEAST_SHARE = 0.05
"""Share of the work after which the rate says something about the time left."""

MOST_UNFINISHED = 0.99
"""Share shown at most while a tensor is not finished."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a run is."""

    models: int = 0
    """Models of the run; 0 for a run on the warehouse itself."""
    opened: int = 0
    """Models whose layers are known."""
    tensors: int = 0
    """Distinct tensors to analyse or fit, as far as is known."""
    finished: int = 0
    """Of these, finished or failed."""
    bytes: int = 0
    """Bytes of weights read."""
    failures: int = 0
    """Tensors and models that failed."""


class ProgressLine:
    """Share of the work, models, layers, bytes, rate, time left, failures; written to stderr."""

    def __init__(self, label: str, *, quiet: bool = False) -> None:
        self._label = label
        self._start = time.monotonic()
        self._printed = self._start
        self._total = 0.0
        self._done = 0.0
        self._tally = Tally()
        self._quiet = quiet
        self._live: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal and not quiet:
            columns = (
                TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=len(label))),
                BarColumn(bar_width=12),
                TextColumn("{task.fields[state]}", markup=False),
                TimeElapsedColumn(),
            )
            self._live = Progress(*columns, console=console, transient=True)
            self._bar = self._live.add_task(label, total=None, state="")

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def expect(self, seconds: float) -> None:
        """Add predicted work."""
        self._total += seconds

    def done(self, seconds: float, tally: Tally) -> None:
        """A task with that predicted work has ended; `tally` is how far the whole run is now."""
        self._done += seconds
        self._tally = tally
        self._show()

    def print(self, text: str) -> None:
        """One line of news."""
        log(f"{self._label}: {text}")
        if self._live:
            self._live.console.print(Text(plain(text)))
        elif not self._quiet:
            tell(f"{self._label}: {plain(text)}")

    def _state(self) -> str:
        elapsed = time.monotonic() - self._start
        share = self._done / self._total if self._total > 0 else float(not self._tally.tensors)
        unplanned = share >= 1.0 and self._tally.finished < self._tally.tensors
        left = elapsed * (1.0 - share) / share if share > LEAST_SHARE and not unplanned else None
        return state(self._tally, share, elapsed, left, datetime.datetime.now())

    def _show(self) -> None:
        now = time.monotonic()
        if self._live:
            self._live.update(self._bar, total=max(self._total, 1e-9), completed=self._done, state=self._state())
            if now - self._printed > LOG_EVERY:
                self._printed = now
                log(f"{self._label}: {self._state()}")
        elif not self._quiet and now - self._printed > PLAIN_EVERY:
            self._printed = now
            self.print(self._state())


def state(tally: Tally, share: float, elapsed: float, left: float | None, now: datetime.datetime) -> str:
    """How far a run is, in words: share of the predicted work, models, layers, bytes, rate, when it ends. Pure.

    elapsed: seconds since the start; left: seconds until the end, where that can be told; now: local time.
    """
    whole = tally.finished >= tally.tensors
    words = [f"{share if whole else min(share, MOST_UNFINISHED):.0%}"]
    if tally.models:
        words.append(f"{tally.opened:,} of {tally.models:,} models opened")
    words.append(f"{tally.finished:,} of {tally.tensors:,} tensors")
    if tally.bytes and elapsed > 0.0:
        words.append(f"{size(tally.bytes)} read, {size(tally.bytes / elapsed)}/s")
    if left is not None:
        end = now + datetime.timedelta(seconds=left)
        words.append(f"{duration(left)} left, done at {end:{'%H:%M' if left < DAY else '%a %H:%M'}}")
    if tally.failures:
        words.append(f"{tally.failures:,} failed")
    return ", ".join(words)
