"""What a job leaves besides its results: the catalogue it saw, and its own row in `runs`."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from zoospectra.jobs.records import provenance, rows
from zoospectra.warehouse import parts
from zoospectra.warehouse.schema import PARTS
from zoospectra.zoo.model import Model


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that has begun."""

    run_id: str
    """Time of its start and six random hex digits."""
    verb: str
    """'scan', 'catalog', ..."""
    started: datetime.datetime
    """UTC."""
    zoo: str
    """Name of the zoo."""
    snapshot: str
    """Digest of the catalogue it works on."""


def begin(verb: str, models: Sequence[Model], warehouse: Path) -> Entry:
    """Keep the catalogue and open a run on it."""
    started = datetime.datetime.now(datetime.UTC)
    digest = rows.snapshot(models)
    parts.write(warehouse, "models", digest, rows.models(models, digest))
    parts.write(warehouse, "reported_metrics", digest, rows.reported_metrics(models, digest))
    return Entry(_run_id(started), verb, started, models[0].zoo, digest)


def end(entry: Entry, warehouse: Path, *, config: str, exit_status: int, counts: Mapping[str, int]) -> None:
    """Write the run's row; counts are columns of `runs` such as models, layers, skipped, failed."""
    about = {"run_id": entry.run_id, "verb": entry.verb, "zoo": entry.zoo, "snapshot": entry.snapshot}
    _write(about, entry.started, warehouse, config, exit_status, counts)


def record(
    verb: str,
    started: datetime.datetime,
    warehouse: Path,
    *,
    config: str,
    exit_status: int,
    counts: Mapping[str, int],
) -> str:
    """Write the row of a run that worked on the warehouse itself, not on a zoo; returns its run_id."""
    run_id = _run_id(started)
    _write({"run_id": run_id, "verb": verb}, started, warehouse, config, exit_status, counts)
    return run_id


def _run_id(started: datetime.datetime) -> str:
    return f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _write(
    about: Mapping[str, str],
    started: datetime.datetime,
    warehouse: Path,
    config: str,
    exit_status: int,
    counts: Mapping[str, int],
) -> None:
    row = {
        **about,
        "started": started,
        "finished": datetime.datetime.now(datetime.UTC),
        "config": config,
        "versions": json.dumps(provenance.versions()),
        "git_commit": provenance.git_commit(),
        "machine": json.dumps(provenance.machine()),
        "exit_status": exit_status,
        **counts,
    }
    parts.write(warehouse, "runs", about["run_id"], pa.Table.from_pylist([row], schema=PARTS["runs"]))
