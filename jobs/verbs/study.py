"""`zoospectra study study=NAME`: a study's SELECTs, statistics and tables; kept, and written as CSV, Parquet, LaTeX."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa

from zoospectra.analysis.studies import study as kind_of_study
from zoospectra.analysis.studies.record import Findings, parameters
from zoospectra.jobs.records import ledger, published
from zoospectra.jobs.show import tables
from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.words.command import MisuseError, answered, compose, misuse, named
from zoospectra.jobs.words.settings import StudySettings
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.schema import PARTS
from zoospectra.warehouse.studies import designs, selects

HELP = """usage: zoospectra study study=NAME [zoo=published [zoo.path=DIR]] [study.KEY=VALUE ...] [warehouse.dir=DIR]

Runs a named study on the newest warehouse: design tables by SQL, statistics, tables. Results go to study_results
and, as CSV, Parquet and LaTeX, to DIR/studies/NAME. NAME is a file of conf/study; its `kind` says which statistics run.
zoo=published loads published layer data first: those in zoo.path, or the 2021 paper's, downloaded at pinned commits."""

DEFAULT = "natcomm2021"
"""The study that runs when none is named."""
SHOWN = 40
"""Rows of a table that are printed; all are in the files."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a study left."""

    run_id: str
    """Its row in `runs`."""
    findings: Findings
    """Cells, rows, sentences."""
    folder: Path
    """Where its files are."""


def study(
    name: str, warehouse: Path, options: Mapping[str, Any] | None = None, *, keep: int = 3, words: Sequence[str] = ()
) -> Done:
    """Run one study on the newest generation, keep its results and publish them.

    name: a file of conf/study, where a --config-dir among the words may add folders; options: values over the file's.
    The same warehouse and options replace the results of an earlier run. Raises ValueError for an unknown study, a
    missing warehouse, or options that name what is not there.
    """
    started = datetime.datetime.now(datetime.UTC)
    values = _over(named("study", name, words), options or {})
    kind = values.pop("kind", name)
    chosen = kind_of_study(kind)
    settings = chosen.configure(values)
    queries = selects(kind, chosen.shared, chosen.queries)
    found = {key: table.to_pylist() for key, table in designs(warehouse, queries, parameters(settings)).items()}
    extra = (named("published", chosen.printed),) if chosen.printed else ()
    findings = chosen.run(found, settings, *extra)
    folder = tables.write(findings, warehouse / "studies" / name)
    counts = {"models": len({row.get("model_id") for row in findings.design})}
    config = json.dumps({"study": name, "kind": kind, **dataclasses.asdict(settings)})
    run_id = ledger.record("study", started, warehouse, config=config, exit_status=0, counts=counts)
    key = hashlib.sha256(config.encode()).hexdigest()[:20]
    parts.write(warehouse, "study_results", f"{name}-{key}", _results(name, run_id, findings))
    build.publish_results(warehouse, keep=keep)
    return Done(run_id, findings, folder)


def _over(values: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options over the file's values, nested ones key by key."""
    merged = dict(values)
    for key, value in options.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if nested else value
    return merged


def _results(name: str, run_id: str, findings: Findings) -> pa.Table:
    data = [
        {"study": name, "run_id": run_id, **{one.name: getattr(cell, one.name) for one in dataclasses.fields(cell)}}
        for cell in findings.cells
    ]
    return pa.Table.from_pylist(data, schema=PARTS["study_results"])


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    name = next((word.partition("=")[2] for word in reversed(words) if word.startswith("study=")), DEFAULT)
    with misuse():
        schema = _schema(named("study", name, words).get("kind", name))
    if answered("study", words, HELP, schema):
        return 0
    settings = compose("study", words, schema)
    warehouse, keep = Path(settings.warehouse.dir), settings.warehouse.keep
    options = {key: value for key, value in dataclasses.asdict(settings.study).items() if key != "kind"}
    with misuse():
        if settings.zoo.source == "published":
            found = published.read(settings.zoo.path, settings.zoo.name, warehouse / "cache")
            published.load(found, warehouse, keep=keep, config=json.dumps(dataclasses.asdict(settings)))
        elif settings.zoo.source:
            raise MisuseError(f"a study reads the warehouse; zoo={settings.zoo.name} is for scan, or use zoo=published")
        done = study(name, warehouse, options, keep=keep, words=words)
    for title, table in tables.pivots(done.findings).items():
        if table.num_rows <= SHOWN and table.num_columns <= 14:
            print_table(table, title=title)
    for note in done.findings.notes:
        print(note)
    print(f"run {done.run_id}: {len(done.findings.cells)} cells in {done.folder}")
    return 0


def _schema(kind: str) -> type[Any]:
    """Settings of the verb, the options of a kind of study among them."""
    options = _mutable(kind_of_study(kind).options, ("kind", str, dataclasses.field(default=kind)))
    fields: list[Any] = [("study", options, dataclasses.field(default_factory=options))]
    return dataclasses.make_dataclass("StudyVerbSettings", fields, bases=(StudySettings,))


def _mutable(record: type[Any], *more: tuple[str, type[Any], Any]) -> type[Any]:
    """A frozen record's fields as a dataclass that OmegaConf may fill: it takes frozen ones as read-only."""
    hints = get_type_hints(record)
    fields: list[Any] = list(more)
    for one in dataclasses.fields(record):
        type_, factory = hints[one.name], one.default_factory
        if isinstance(type_, type) and dataclasses.is_dataclass(type_):
            nested = _mutable(type_)
            fields.append((one.name, nested, dataclasses.field(default_factory=nested)))
        elif factory is dataclasses.MISSING:
            fields.append((one.name, type_, dataclasses.field(default=one.default)))
        else:
            fields.append((one.name, type_, dataclasses.field(default_factory=factory)))
    return dataclasses.make_dataclass(record.__name__, fields)
