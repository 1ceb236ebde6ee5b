"""scan, refit, study and compare as functions: the command's keys as keyword arguments, its checks, its errors.

The only place of the public door that calls the jobs room for these verbs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from zoospectra._path import installed_first
from zoospectra._warehouse import Warehouse
from zoospectra.jobs.records import published
from zoospectra.jobs.show import tables
from zoospectra.jobs.verbs import compare as compare_verb
from zoospectra.jobs.verbs import refit as refit_verb
from zoospectra.jobs.verbs import scan as scan_verb
from zoospectra.jobs.verbs import study as study_verb
from zoospectra.jobs.words.command import MisuseError, compose, misuse
from zoospectra.jobs.words.fetching import fetching
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.words.settings import CompareSettings, RefitSettings, ScanSettings, StudySettings
from zoospectra.jobs.work import crawl as crawling
from zoospectra.jobs.work.executors import Cluster
from zoospectra.zoo.fetch.settings import configure

if TYPE_CHECKING:
    from os import PathLike

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
    """Layers that were fitted: of the scope for a scan, in this run for a refit."""
    skipped: int
    """Tensors left out by a rule; of a refit, those whose spectra are not kept."""
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
            words += [f"{key}.{inner}={_word(one)}" for inner, one in value.items()]
        elif value is not None:
            words.append(f"{key}={_word(value)}")
    return words


def _word(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(_quoted(str(one)) for one in value)}]"
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
    settings = compose("scan", words, ScanSettings)
    folder, config = Path(settings.warehouse.dir), json.dumps(dataclasses.asdict(settings))
    chosen = load_profiles(settings.profiles, words, engine=settings.fit.engine)
    configure(fetching(dataclasses.asdict(settings.fetch), folder))
    if settings.zoo.source == published.SOURCE:
        found = published.read(settings.zoo.path, settings.zoo.name, folder / "cache")
        run_id = published.load(found, folder, keep=settings.warehouse.keep, config=config)
        return Run(run_id, len(found), 0, 0, 0, folder)
    request = crawling.Request(dataclasses.asdict(settings.zoo), folder / "cache", lambda text: None)
    crawled = crawling.choose(crawling.crawl(settings.zoo.source, request), settings.models, settings.limit)
    done = scan_verb.scan(
        crawled,
        chosen,
        folder,
        cluster=Cluster(**dataclasses.asdict(settings.cluster)),
        shard_seconds=settings.shard_seconds,
        attempts=settings.attempts,
        keep=settings.warehouse.keep,
        config=config,
    )
    counts = done.counts
    return Run(done.run_id, counts.models, counts.layers, counts.skipped, counts.failed, folder)


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
    words = words_of(named | keys, config_dir)
    settings = compose("refit", words, RefitSettings)
    folder = Path(settings.warehouse.dir)
    if not (folder / "parts").is_dir():
        raise MisuseError(f"no parts at {folder}: run zoospectra.scan(warehouse={str(folder)!r}) first")
    done = refit_verb.refit(
        load_profiles(settings.profiles, words, engine=settings.fit.engine),
        folder,
        cluster=Cluster(**dataclasses.asdict(settings.cluster)),
        attempts=settings.attempts,
        keep=settings.warehouse.keep,
        config=json.dumps(dataclasses.asdict(settings)),
    )
    return Run(done.run_id, 0, done.fitted, done.lacking, done.failed, folder)


@installed_first()
def study(
    name: str,
    *,
    warehouse: str | PathLike[str] | None = None,
    config_dir: str | PathLike[str] | None = None,
    **options: Any,  # noqa: ANN401 - any option of any study
) -> StudyRun:
    """Run a named study on a warehouse; `options` are keys of conf/study/<name>.yaml.

    Equivalent to `zoospectra study study=NAME study.KEY=VALUE warehouse.dir=...`. The results are in the warehouse's
    table study_results too. Raises ValueError for an unknown study or option, and for a warehouse without
    what it needs.
    """
    words = words_of({"study": name, "warehouse": warehouse}, config_dir)
    words += words_of({f"study.{key}": value for key, value in options.items()})
    settings = compose("study", words, StudySettings)
    values = dataclasses.asdict(settings.study)
    with misuse():
        done = study_verb.study(values["name"], Path(settings.warehouse.dir), values, keep=settings.warehouse.keep)
    return StudyRun(done.run_id, tables.pivots(done.findings), tuple(done.findings.notes), done.folder)


@installed_first()
def compare(
    base: str | PathLike[str],
    path: str | PathLike[str],
    *,
    profile: str = "weightwatcher",
    config_dir: str | PathLike[str] | None = None,
) -> pa.Table:
    """Two checkpoints of one architecture, layer by layer: how far each moved, and what its spectrum did.

    Equivalent to `zoospectra compare BASE PATH`; one row a layer of either. Raises ValueError when one cannot be read.
    """
    words = words_of({"profiles": [profile]}, config_dir)
    settings = compose("compare", words, CompareSettings)
    (chosen,) = load_profiles(settings.profiles, words)
    for one in (base, path):
        if not Path(one).exists():
            raise MisuseError(f"{one}: no such file or folder")
    return compare_verb.compare(Path(base), Path(path), chosen)
