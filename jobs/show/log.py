"""The log of a job: every line of news with its time, in a file, whatever the screen shows."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoospectra.jobs.show.plain import plain
from zoospectra.warehouse.disk import written

_FILES: list[Path] = []


def check_log(path: str | None) -> None:
    """Raise ValueError for a log that cannot be written; None is no log."""
    try:
        if path is not None:
            with Path(path).open("a", encoding="utf-8"):
                pass
    except OSError as error:
        msg = f"log={path}: {error.strerror}; expected a file that can be written"
        raise ValueError(msg) from error


@contextmanager
def logged(path: str | None) -> Iterator[None]:
    """Append the news of what runs inside to a file; nothing without a path."""
    if path is None:
        yield
        return
    _FILES.append(Path(path))
    try:
        yield
    finally:
        _FILES.pop()


def tell(line: str) -> None:
    """A line on stderr, where that can be written: no work ends because nobody can see how far it is."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def log(text: str) -> None:
    """One line, with its time in UTC, to the files that are open."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    for path in _FILES:
        with written(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{now} {plain(text)}\n")
