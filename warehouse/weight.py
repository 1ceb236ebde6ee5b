"""What a warehouse weighs: generations, rows by code version and profile, the cache; and what nobody needs any more.

A file that holds rows of several code versions or profiles is shared out by their rows. Not covered: removing results
of older code, which parts keep beside the new.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoospectra.warehouse.connect import connect, generations, newest
from zoospectra.warehouse.lock import locked
from zoospectra.warehouse.merge import replaced
from zoospectra.warehouse.parts import STALE, contract_part, live_parts, sweepable
from zoospectra.warehouse.publish import is_unneeded

VERSIONED = {"spectra": "''", "layer_metrics": "profile", "slice_metrics": "profile"}
"""Kind of part that has a code version -> its profile, as SQL."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One thing that takes room."""

    what: str
    """generation, the kind of a part, cache, or garbage."""
    name: str
    """File of a generation, code version, folder of the cache, or why it is garbage."""
    profile: str
    """Profile of the rows; '' where there is none."""
    bytes: int
    """Bytes on disk."""
    state: str
    """newest, kept, or unneeded."""


@dataclass(frozen=True, slots=True)
class Waste:
    """A file that nobody needs."""

    path: Path
    """Where."""
    bytes: int
    """Bytes on disk."""
    why: str
    """An older generation, replaced by a merged part, damaged, or left by a killed writer."""


def weights(directory: Path, keep: int) -> list[Weight]:
    """Everything that takes room in DIR, generations first; ValueError when there is no warehouse."""
    directory = directory.resolve()
    first, unneeded = newest(directory), {waste.path for waste in wastes(directory, keep)}
    rows = [
        Weight("generation", path.name, "", path.stat().st_size, _state(path, first, unneeded))
        for _, path in generations(directory)
    ]
    rows += _parts(directory)
    cache = directory / "cache"
    for entry in sorted(cache.iterdir()) if cache.is_dir() else []:
        rows.append(Weight("cache", entry.name, "", _size(entry), "kept"))
    reasons: dict[str, int] = {}
    for waste in wastes(directory, keep):
        if waste.path not in {path for _, path in generations(directory)}:
            reasons[waste.why] = reasons.get(waste.why, 0) + waste.bytes
    return rows + [Weight("garbage", why, "", size, "unneeded") for why, size in reasons.items()]


def wastes(directory: Path, keep: int) -> list[Waste]:
    """Files that `collect` would remove, as far as this machine knows."""
    directory = directory.resolve()
    old = [(path, "an older generation") for _, path in generations(directory)[:-keep] if is_unneeded(path)]
    merged = [(path, "replaced by a merged part") for path in replaced(directory)]
    broken = [(path, "damaged") for path in (directory / "parts").rglob("*.broken")]
    left = [(path, "left by a killed writer") for path in sweepable(directory, STALE)]
    return [Waste(path, path.stat().st_size, why) for path, why in [*old, *merged, *broken, *left]]


def collect(directory: Path, keep: int) -> list[Waste]:
    """Remove what nobody needs, when no builder works on DIR; returns it. Raises OSError when the disk refuses."""
    with locked(directory.resolve()):
        removed = wastes(directory, keep)
        for waste in removed:
            waste.path.unlink(missing_ok=True)
    return removed


def _parts(directory: Path) -> Iterator[Weight]:
    """Bytes of the live parts, of those that have a code version by it and by profile."""
    by_kind: dict[str, list[Path]] = {}
    for part in live_parts(directory):
        by_kind.setdefault(part.kind, []).append(part.path)
    for kind, paths in sorted(by_kind.items()):
        sizes = {str(path): path.stat().st_size for path in paths}
        if kind not in VERSIONED:
            yield Weight(kind, "", "", sum(sizes.values()), "kept")
            continue
        files = [str(contract_part(directory, kind)), *sizes]
        sql = f"""SELECT filename, code_version, {VERSIONED[kind]} AS profile, count(*) AS rows
            FROM read_parquet($1, filename = true, union_by_name = true) GROUP BY ALL ORDER BY ALL"""
        with connect() as connection:
            rows = connection.execute(sql, [files]).fetchall()
        total: dict[str, int] = {}
        for file, _, _, count in rows:
            total[file] = total.get(file, 0) + count
        shares: dict[tuple[str, str], float] = {}
        for file, version, profile, count in rows:
            shares[version, profile] = shares.get((version, profile), 0.0) + sizes[file] * count / total[file]
        for (version, profile), size in sorted(shares.items()):
            yield Weight(kind, version, profile, round(size), "kept")


def _state(path: Path, first: Path, unneeded: set[Path]) -> str:
    return "newest" if path == first else "unneeded" if path in unneeded else "kept"


def _size(entry: Path) -> int:
    """Bytes of a file, or of everything below a folder."""
    files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files)
