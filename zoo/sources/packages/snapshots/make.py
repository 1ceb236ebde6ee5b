"""Make a snapshot of a package's catalog: `python -m <this module> PACKAGE [RELEASED] [FOLDER]`.

PACKAGE is pytorchcv, torchvision or timm and must be installed; RELEASED is the ISO date of its release, the date of
all it reports, '' when unknown; FOLDER is where the file goes, the package's own `data` by default. Each package is
imported in a process of its own, so that a wheel that aborts or prints does so there, and ends as a ValueError here.

For the maintainers, after a release of a package; nothing else imports this file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from zoospectra.zoo.sources.packages.snapshots.table import FOLDER, Snapshot, write

COLLECTORS = {
    "pytorchcv": "zoospectra.zoo.sources.packages.snapshots.pytorchcv",
    "torchvision": "zoospectra.zoo.sources.packages.snapshots.torchvision",
    "timm": "zoospectra.zoo.sources.packages.snapshots.timm",
}
"""Package -> the module that reads it."""

LIMIT = 600
"""Seconds that importing and reading a package may take; the slowest so far takes 10."""


def make(package: str, released: str | None = None, folder: Path = FOLDER) -> Path:
    """Make a package's snapshot in a process of its own; returns the file's path.

    ValueError: unknown package, a date that is not ISO, or what went wrong inside the process, in its last line.
    """
    if package not in COLLECTORS:
        msg = f"no catalog of {package!r}; known: {', '.join(COLLECTORS)}"
        raise ValueError(msg)
    if released and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", released):
        msg = f"release date {released!r}: expected YYYY-MM-DD, or nothing when unknown"
        raise ValueError(msg)
    with TemporaryDirectory() as beside:
        command = [sys.executable, "-P", "-m", __spec__.name, "--collect", package, released or "", beside]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        made = list(Path(beside).iterdir())
        if done.returncode != 0 or len(made) != 1:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}, nothing said"])[-1]
            msg = f"the catalog of {package} could not be read: {last}"
            raise ValueError(msg)
        target = folder / made[0].name
        target.write_bytes(made[0].read_bytes())
    return target


def collect(package: str, released: str | None) -> Snapshot:
    """Read a package's catalog in this process and give it its date."""
    snapshot: Snapshot = import_module(COLLECTORS[package]).collect()
    dated = tuple(
        replace(model, metrics=tuple(replace(metric, source_date=released) for metric in model.metrics))
        for model in snapshot.models
    )
    return replace(snapshot, released=released, models=dated)


def main(words: list[str]) -> int:
    """The command; 0 when a snapshot was made, 2 on wrong usage or a package that cannot be read."""
    if words[:1] == ["--collect"]:
        write(collect(words[1], words[2] or None), Path(words[3]))
        return 0
    if not 1 <= len(words) <= 3:
        sys.stderr.write(
            "usage: python -m zoospectra.zoo.sources.packages.snapshots.make PACKAGE [RELEASED] [FOLDER]\n"
        )
        return 2
    try:
        folder = Path(words[2]) if len(words) > 2 else FOLDER
        path = make(words[0], words[1] if len(words) > 1 else None, folder)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{path} {path.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
