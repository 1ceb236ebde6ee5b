"""`zoospectra study study=NAME`: a study's SELECTs, statistics and tables; kept, and written as CSV, Parquet, LaTeX."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoospectra.analysis.studies import collapse, contest, drift, flow, health, natcomm2021, simpson
from zoospectra.analysis.studies.record import Designs, Findings
from zoospectra.jobs.records import ledger, published
from zoospectra.jobs.show import tables
from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.words.command import MisuseError, answered, compose, misuse, named
from zoospectra.jobs.words.settings import StudyOptions, StudySettings
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.schema import PARTS
from zoospectra.warehouse.studies import designs

HELP = """usage: zoospectra study study=NAME [zoo=published [zoo.path=DIR]] [study.KEY=VALUE ...] [warehouse.dir=DIR]

Runs a named study on the newest warehouse: design tables by SQL, statistics, tables. Results go to study_results
and, as CSV, Parquet and LaTeX, to DIR/studies/NAME. zoo=published loads published layer data first: those in zoo.path,
or the 2021 paper's, downloaded at pinned commits."""

SHOWN = 40
"""Rows of a table that are printed; all are in the files."""

Run = Callable[[Designs, Mapping[str, Any]], Findings]


@dataclass(frozen=True, slots=True)
class Study:
    """One study: its statistics, and the values it needs besides its options."""

    run: Run
    """Pure: design tables and options in, findings out."""
    shared: tuple[str, ...] = ()
    """SELECTs that it uses with others: names in warehouse/sql/studies/any."""
    printed: str | None = None
    """Name of conf/published/<name>.yaml with printed numbers, when there are any."""


STUDIES: dict[str, Study] = {
    "natcomm2021": Study(natcomm2021.run, ("averages", "reported"), printed="natcomm2021"),
    "contest": Study(contest.run, ("averages", "reported", "catalogue")),
    "simpson": Study(simpson.run, ("averages", "reported", "catalogue")),
    "flow": Study(flow.run, ("reported",)),
    "collapse": Study(collapse.run),
    "health": Study(health.run),
    "drift": Study(drift.run),
}
"""Name -> study; its own SELECTs are warehouse/sql/studies/<name>/*.sql."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a study left."""

    run_id: str
    """Its row in `runs`."""
    findings: Findings
    """Cells, rows, sentences."""
    folder: Path
    """Where its files are."""


def study(name: str, warehouse: Path, options: Mapping[str, Any] | None = None, *, keep: int = 3) -> Done:
    """Run one study on the newest generation, keep its results and publish them.

    options: fields of jobs.words.settings.StudyOptions, over the values of conf/study/<name>.yaml. The same warehouse
    and options replace the results of an earlier run. Raises ValueError for an unknown study, a missing warehouse, or
    options that name what is not there.
    """
    if name not in STUDIES:
        msg = f"unknown study {name!r}: expected one of {', '.join(STUDIES)}"
        raise ValueError(msg)
    started = datetime.datetime.now(datetime.UTC)
    one = STUDIES[name]
    values = {**dataclasses.asdict(StudyOptions()), **named("study", name), **(options or {})}
    del values["name"]
    found = {key: table.to_pylist() for key, table in designs(warehouse, name, one.shared, _parameters(values)).items()}
    extra = {"printed": named("published", one.printed)} if one.printed else {}
    findings = one.run(found, {**values, **extra})
    folder = tables.write(findings, warehouse / "studies" / name)
    counts = {"models": len({row.get("model_id") for row in findings.design})}
    config = json.dumps({"study": name, **values})
    run_id = ledger.record("study", started, warehouse, config=config, exit_status=0, counts=counts)
    key = hashlib.sha256(json.dumps([name, values], sort_keys=True, default=str).encode()).hexdigest()[:20]
    parts.write(warehouse, "study_results", f"{name}-{key}", _results(name, run_id, findings))
    build.publish_results(warehouse, keep=keep)
    return Done(run_id, findings, folder)


def _parameters(values: Mapping[str, Any]) -> dict[str, str | int | float | None]:
    """Options that a SELECT may name as $parameters."""
    plain = {**values, **(values.get("thresholds") or {})}
    return {key: value for key, value in plain.items() if value is None or isinstance(value, str | int | float)}


def _results(name: str, run_id: str, findings: Findings) -> pa.Table:
    data = [
        {"study": name, "run_id": run_id, **{one.name: getattr(cell, one.name) for one in dataclasses.fields(cell)}}
        for cell in findings.cells
    ]
    return pa.Table.from_pylist(data, schema=PARTS["study_results"])


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    if answered("study", words, f"{HELP}\n\nstudies: {', '.join(STUDIES)}", StudySettings):
        return 0
    settings = compose("study", words, StudySettings)
    warehouse, keep = Path(settings.warehouse.dir), settings.warehouse.keep
    with misuse():
        if settings.zoo.source == "published":
            found = published.read(settings.zoo.path, settings.zoo.name, warehouse / "cache")
            published.load(found, warehouse, keep=keep, config=json.dumps(dataclasses.asdict(settings)))
        elif settings.zoo.source:
            raise MisuseError(f"a study reads the warehouse; zoo={settings.zoo.name} is for scan, or use zoo=published")
        options = dataclasses.asdict(settings.study)
        done = study(options["name"], warehouse, options, keep=keep)
    for title, table in tables.pivots(done.findings).items():
        if table.num_rows <= SHOWN and table.num_columns <= 14:
            print_table(table, title=title)
    for note in done.findings.notes:
        print(note)
    print(f"run {done.run_id}: {len(done.findings.cells)} cells in {done.folder}")
    return 0
