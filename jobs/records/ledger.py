"""What a job leaves besides its results: the catalog it saw, and its own row in `runs`."""

from __future__ import annotations

import datetime
import itertools
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from zoospectra.jobs.exit import Exit
from zoospectra.jobs.records import provenance, rows
from zoospectra.warehouse import clock, parts
from zoospectra.warehouse.allocator import give_back
from zoospectra.warehouse.known import has_snapshot
from zoospectra.warehouse.schema import PARTS
from zoospectra.zoo.model import Model

TOGETHER = 10_000
"""Models whose rows are made and written together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that has begun."""

    run_id: str
    """Time of its start and six random hex digits."""
    verb: str
    """'scan', 'catalog', 'refit', 'study'."""
    started: datetime.datetime
    """UTC."""
    zoo: str | None = None
    """Name of the zoo; None for a run on the warehouse itself."""
    snapshot: str | None = None
    """Digest of the catalog it works on; None for a run on the warehouse itself."""


def begin(verb: str, warehouse: Path, models: Sequence[Model] = ()) -> Entry:
    """Open a run; keeps the catalog of the models it works on, if any and the newest generation has it not."""
    started = clock.now(warehouse)
    run_id = f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    if not models:
        return Entry(run_id, verb, started)
    digest = rows.snapshot(models)
    if not has_snapshot(warehouse, digest):
        extra = rows.extra_columns(models)
        reported = (rows.reported_metrics(some, digest) for some in _some(models))
        parts.write_all(warehouse, "reported_metrics", digest, reported)
        parts.write_all(warehouse, "models", digest, (rows.models(some, digest, extra) for some in _some(models)))
        give_back()
    return Entry(run_id, verb, started, models[0].zoo, digest)


def _some(models: Iterable[Model]) -> Iterator[list[Model]]:
    rest = iter(models)
    while some := list(itertools.islice(rest, TOGETHER)):
        yield some


def end(entry: Entry, warehouse: Path, *, config: str, status: Exit, counts: Mapping[str, int]) -> None:
    """Write the run's row; counts are columns of `runs`: models, layers, skipped, failed."""
    row = {
        "run_id": entry.run_id,
        "verb": entry.verb,
        "zoo": entry.zoo,
        "snapshot": entry.snapshot,
        "started": entry.started,
        "finished": clock.now(warehouse),
        "config": config,
        "versions": json.dumps(provenance.versions()),
        "git_commit": provenance.git_commit(),
        "machine": json.dumps(provenance.machine()),
        "exit_status": int(status),
        **counts,
    }
    parts.write(warehouse, "runs", entry.run_id, pa.Table.from_pylist([row], schema=PARTS["runs"]))
