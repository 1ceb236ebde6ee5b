"""How far a scan is: a live line on a terminal, plain lines otherwise; in predicted seconds of work, not in tasks."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from zoospectra.jobs.show.log import log

PLAIN_EVERY = 5.0
"""Seconds between two plain lines."""

LEAST_SHARE = 0.05
"""Share of the work after which the rate says something about the time left."""


class ProgressLine:
    """Cost done and total, rate, time left, failures; written to stderr."""

    def __init__(self, label: str, *, quiet: bool = False) -> None:
        self._label = label
        self._start = time.monotonic()
        self._printed = self._start
        self._total = 0.0
        self._done = 0.0
        self._tasks = 0
        self._failures = 0
        self._quiet = quiet
        self._live: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal and not quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
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

    def done(self, seconds: float, *, failures: int = 0) -> None:
        """A task with that predicted work has ended."""
        self._done += seconds
        self._tasks += 1
        self._failures += failures
        self._show()

    def print(self, text: str) -> None:
        """One line of news."""
        log(f"{self._label}: {text}")
        if self._live:
            self._live.console.print(text)
        elif not self._quiet:
            print(f"{self._label}: {text}", file=sys.stderr, flush=True)

    def _state(self) -> str:
        elapsed = time.monotonic() - self._start
        rate = self._done / elapsed if elapsed > 0 else 0.0
        share = self._done / self._total if self._total > 0 else 1.0
        words = [f"{share:4.0%} of {self._total:.1f} s of work", f"{self._tasks} tasks", f"{rate:.1f} s/s"]
        if share > LEAST_SHARE:
            words.append(f"{max(0.0, self._total - self._done) / rate:.0f} s left")
        if self._failures:
            words.append(f"{self._failures} failed")
        return ", ".join(words)

    def _show(self) -> None:
        if self._live:
            self._live.update(self._bar, total=max(self._total, 1e-9), completed=self._done, state=self._state())
        elif not self._quiet and time.monotonic() - self._printed > PLAIN_EVERY:
            self._printed = time.monotonic()
            self.print(self._state())
