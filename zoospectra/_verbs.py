"""scan, refit, study and compare as functions: the command's keys as keyword arguments, its checks, its errors.

The only place of the public door that calls the jobs room for these verbs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from zoospectra._path import installed_first
from zoospectra._warehouse import Warehouse
from zoospectra.jobs.call import call
from zoospectra.jobs.show import tables

if TYPE_CHECKING:
    from os import PathLike

    from zoospectra.jobs.work.execute import Run as EngineRun

KEYS = {"path": "zoo.path", "warehouse": "warehouse.dir"}
"""Keyword arguments that are short for a key of the command."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a scan or a refit did."""

    run_id: str
    """Its row in the warehouse's table `runs`."""
    models: int
    """Models of the scope; 0 for a refit, which works on tensors."""
    layers: int
    """Layers of the scope."""
    skipped: int
    """Tensors left out by a rule, and layers that a profile's filters left without a fit."""
    failed: int
    """Tensors and models that failed: rows of the table `skipped`."""
    warehouse: Path
    """Folder of the warehouse."""

    def open(self) -> Warehouse:
        """The warehouse, as `zoospectra.open` does."""
        return Warehouse(self.warehouse)


@dataclass(frozen=True, slots=True)
class StudyRun:
    """What a study found."""

    run_id: str
    """Its row in the warehouse's table `runs`."""
    tables: Mapping[str, pa.Table]
    """Name of a table -> rows by columns."""
    notes: tuple[str, ...]
    """Sentences."""
    folder: Path
    """Where the same is as CSV, Parquet and LaTeX."""


def words_of(keys: Mapping[str, Any], config_dir: str | PathLike[str] | None = None) -> list[str]:
    """The command's words for keyword arguments; an argument that is None was not given.

    A mapping gives the keys of a group: fetch={"rate": 2} is fetch.rate=2.
    """
    words = [f"--config-dir={config_dir}"] if config_dir is not None else []
    for name, value in keys.items():
        key = KEYS.get(name, name)
        if isinstance(value, Mapping):
            words += [f"{key}.{inner}={_word(item)}" for inner, item in value.items()]
        elif value is not None:
            words.append(f"{key}={_word(value)}")
    return words


def _word(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(_quoted(str(item)) for item in value)}]"
    return str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" if text else "''"


@installed_first()
def scan(
    zoo: str | None = None,
    *,
    path: str | PathLike[str] | None = None,
    models: str | Sequence[str] | None = None,
    limit: int | None = None,
    profiles: str | Sequence[str] | None = None,
    cluster: str | None = None,
    warehouse: str | PathLike[str] | None = None,
    config_dir: str | PathLike[str] | None = None,
    **keys: Any,  # noqa: ANN401 - any value of a key
) -> Run:
    """Crawl a zoo, analyse what the warehouse does not know yet, and publish a new generation of it.

    Equivalent to `zoospectra scan zoo=... zoo.path=... models=... warehouse.dir=...`; every other key of the command is
    a keyword argument too: fetch={"rate": 2} for fetch.rate=2, or **{"fetch.rate": 2}. What is not given has the
    command's default. Failed models and layers are counted, and rows of the table `skipped`. Raises ValueError for
    wrong usage, before any work.
    """
    named = {"zoo": zoo, "path": path, "models": models, "limit": limit, "profiles": profiles, "cluster": cluster}
    words = words_of(named | {"warehouse": warehouse} | keys, config_dir)
    done = call("scan", *words)
    return _run(done.run, Path(done.request.settings.warehouse.dir))


def _run(run: EngineRun, warehouse: Path) -> Run:
    counts = run.counts
    return Run(run.run_id, counts.models, counts.layers, counts.skipped, counts.failed, warehouse)


@installed_first()
def refit(
    profiles: str | Sequence[str],
    *,
    cluster: str | None = None,
    warehouse: str | PathLike[str] | None = None,
    config_dir: str | PathLike[str] | None = None,
    **keys: Any,  # noqa: ANN401 - any value of a key
) -> Run:
    """Fit every spectrum that a warehouse keeps under these profiles; no weights are read.

    Equivalent to `zoospectra refit profiles=... warehouse.dir=...`, keywords as in `scan`. Raises ValueError for wrong
    usage, before any work.
    """
    named = {"profiles": profiles, "cluster": cluster, "warehouse": warehouse}
    done = call("refit", *words_of(named | keys, config_dir))
    return _run(done.run, Path(done.request.settings.warehouse.dir))


@installed_first()
def study(
    name: str,
    *,
    warehouse: str | PathLike[str] | None = None,
    config_dir: str | PathLike[str] | None = None,
    **options: Any,  # noqa: ANN401 - any option of any study
) -> StudyRun:
    """Run a named study on a warehouse; `options` are the keys of its kind.

    Equivalent to `zoospectra study study=NAME study.KEY=VALUE warehouse.dir=...`. The results are in the warehouse's
    table study_results too. Raises ValueError for an unknown study or option, and for a warehouse without
    what it needs.
    """
    words = words_of({"study": name, "warehouse": warehouse}, config_dir)
    words += words_of({f"study.{key}": value for key, value in options.items()})
    done = call("study", *words)
    return StudyRun(done.run_id, tables.pivots(done.findings), tuple(done.findings.notes), done.folder)


@installed_first()
def compare(
    base: str | PathLike[str],
    path: str | PathLike[str],
    *,
    profile: str = "weightwatcher",
    config_dir: str | PathLike[str] | None = None,
    **keys: Any,  # noqa: ANN401 - any value of a key
) -> pa.Table:
    """Two checkpoints of one architecture, layer by layer: how far each moved, and what its spectrum did.

    Equivalent to `zoospectra compare BASE PATH`, keywords as in `scan`; one row a layer of either, and one a tensor
    that was refused, whose status says why. Raises ValueError when one cannot be opened.
    """
    words = words_of({"profiles": [profile]} | keys, config_dir)
    table: pa.Table = call("compare", fspath(base), fspath(path), *words).shown.table
    return table
