"""Publishing: a new generation replaces the old one in one step, so that readers never block a builder nor it them.

    DIR/warehouse-<gen>.duckdb  the generations, immutable;   DIR/warehouse.duckdb -> the newest

Killed anywhere, a builder leaves the newest generation as it was; the next one removes what it began.
Not covered: what a generation holds (build.py).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoospectra.warehouse.checks import verify
from zoospectra.warehouse.connect import generations, newest
from zoospectra.warehouse.lock import is_held, locked
from zoospectra.warehouse.merge import remove_replaced
from zoospectra.warehouse.parts import sync_folder
from zoospectra.warehouse.settings import check_keep

DAY = 24 * 3600.0
"""Seconds that a generation stays at least."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A generation in the making."""

    directory: Path
    """Folder of the warehouse, absolute."""
    generation: int
    """Its number, one more than the newest."""
    file: Path
    """Database file to fill, not there yet; closed when the block ends."""
    path: Path
    """Where it is published."""
    previous: Path | None
    """The newest generation, None when there is none."""


@contextlib.contextmanager
def publishing(directory: Path, keep: int) -> Iterator[Draft]:
    """Publish what the block leaves in `Draft.file`; DIR is made when missing, `keep` generations stay.

    Waits until no other builder works on DIR, checks the closed file, syncs and renames it, moves the link, removes
    old generations, but none that is younger than a day or that a reader has open. When the block or a check fails
    nothing is published. Raises ValueError on keep < 1 and warehouse.checks.CheckError.
    """
    check_keep(keep)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        _remove_drafts(directory)
        present = generations(directory)
        number = present[-1][0] + 1 if present else 1
        path = directory / f"warehouse-{number:06d}.duckdb"
        draft = Draft(directory, number, Path(f"{path}.tmp"), path, newest(directory) if present else None)
        try:
            yield draft
            verify(draft.file)
        except BaseException:
            _remove_drafts(directory)
            raise
        _put_in_place(draft)
        for _, old in generations(directory)[:-keep]:
            if is_unneeded(old):
                old.unlink()
        remove_replaced(directory)


def is_unneeded(generation: Path) -> bool:
    """Whether a generation is older than a day and nobody reads it, as far as this machine knows."""
    return time.time() - generation.stat().st_mtime > DAY and not is_held(generation)


def _remove_drafts(directory: Path) -> None:
    """Remove what a killed builder left; only with the lock held."""
    for path in directory.glob("warehouse-*.duckdb.tmp*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (directory / "warehouse.duckdb.new").unlink(missing_ok=True)


def _put_in_place(draft: Draft) -> None:
    with draft.file.open("rb") as file:
        os.fsync(file.fileno())
    draft.file.rename(draft.path)
    link = draft.directory / "warehouse.duckdb.new"
    link.symlink_to(draft.path.name)  # relative: the folder may be moved
    link.replace(draft.directory / "warehouse.duckdb")
    sync_folder(draft.directory)
