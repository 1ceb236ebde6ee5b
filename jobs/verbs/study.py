"""`zoospectra study study=NAME`: a study's SELECTs, statistics and tables; kept, and written as CSV, Parquet, LaTeX."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.analysis.studies import STUDIES, kinds
from zoospectra.analysis.studies import study as study_of
from zoospectra.jobs.show.figures.formats import check_format
from zoospectra.jobs.words.verb import CHOICE, REGISTRY, VARIANTS, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from zoospectra.analysis.studies.record import Findings
    from zoospectra.jobs.show.figures.studies import Material
    from zoospectra.jobs.words.command import Configuration

HELP = f"""usage: zoospectra study study=NAME [study.KEY=VALUE ...] [figures=svg|pdf|png|none] [warehouse.dir=DIR]

Runs a named study on the newest warehouse: design tables by SQL, statistics, tables, figures. Results go to
study_results and, as CSV, Parquet and LaTeX, to DIR/studies/NAME; its figures, with their numbers, to the folder
`figures` in it. The 2021 paper's own data is loaded by 'scan zoo=published' first.

kinds of studies: {", ".join(STUDIES)}"""


@dataclass(frozen=True, slots=True)
class StudyChoice:
    """Which study; the options are those of its kind, and stand beside this key."""

    name: str = field(default="natcomm2021", metadata={CHOICE: True})
    """Its kind or its file in conf/study, and its name in results."""
    kind: str = field(default="natcomm2021", metadata={VARIANTS: lambda: {name: {"kind": name} for name in kinds()}})
    """Its statistics, a key of analysis.studies.STUDIES."""
    options: Any = field(default=None, metadata={REGISTRY: lambda values: study_of(values["kind"]).options})
    """Options of the kind, a record of its own."""

    def __post_init__(self) -> None:
        """Refuse a kind under the name of another, whose results it would take the place of."""
        if self.name in kinds() and self.kind != self.name:
            msg = f"kind={self.kind}: expected {self.name} with study={self.name}; study={self.kind} is the other kind"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Values of `study`."""

    study: StudyChoice = field(default_factory=StudyChoice)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    figures: str = "svg"
    """Format of the figures: svg, pdf or png; none draws nothing."""

    def __post_init__(self) -> None:
        """Refuse an unknown format."""
        check_format("figures", self.figures, "none")


@dataclass(frozen=True, slots=True)
class Request:
    """A study whose statistics are done: only they tell whether its options fit the warehouse."""

    settings: StudySettings
    """As composed."""
    findings: Findings
    """Cells, rows, sentences."""
    designs: Mapping[str, list[dict[str, Any]]]
    """Rows of the SELECTs."""
    printed: Mapping[str, Any] | None
    """Numbers that a paper printed, where the kind compares with some."""
    config: str
    """JSON of the options."""
    started: datetime.datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a study left."""

    run_id: str
    """Its row in `runs`."""
    findings: Findings
    """Cells, rows, sentences."""
    folder: Path
    """Where its files are."""
    figures: tuple[Path, ...]
    """Drawings in it."""
    undrawn: str | None
    """Why there are none."""


def check(settings: StudySettings, configuration: Configuration) -> Request:
    """Design tables and statistics; ValueError for a missing warehouse and options that name what is not there."""
    from zoospectra.analysis.studies.record import parameters
    from zoospectra.warehouse import build, clock
    from zoospectra.warehouse.studies import designs, selects

    started = clock.now(Path(settings.warehouse.dir))
    build.renew(Path(settings.warehouse.dir), settings.warehouse.keep)
    chosen = settings.study
    kind = study_of(chosen.kind)
    queries = selects(chosen.kind, kind.shared, kind.queries)
    tables = designs(Path(settings.warehouse.dir), queries, parameters(chosen.options))
    rows = {name: table.to_pylist() for name, table in tables.items()}
    if rows.get("reported") == []:
        _refuse_early(Path(settings.warehouse.dir), getattr(chosen.options, "source_date", None))
    printed = (configuration.group("published", kind.printed),) if kind.printed else ()
    findings = kind.run(rows, chosen.options, *printed)
    config = json.dumps(dataclasses.asdict(chosen))
    return Request(settings, findings, rows, printed[0] if printed else None, config, started)


def _refuse_early(directory: Path, source_date: str | None) -> None:
    """Raise ValueError for a date before every source of a warehouse that has reported numbers."""
    from zoospectra.warehouse.query import query

    dates = "SELECT min(source_date) AS first, max(source_date) AS last, count(*) AS n FROM reported_metrics"
    (there,) = query(directory, dates).to_pylist()
    if source_date is not None and there["n"]:
        dated = f"from {there['first']} (the last source is of {there['last']})"
        msg = f"study.source_date={source_date}: expected the date of a source, {dated if there['first'] else 'null'}"
        raise ValueError(msg)


def study(request: Request) -> Done:
    """Keep a study's results and publish them; the same study and options replace the results of an earlier run."""
    from zoospectra.jobs.exit import Exit
    from zoospectra.jobs.records import ledger
    from zoospectra.jobs.show import tables
    from zoospectra.warehouse import build, parts

    chosen, warehouse = request.settings.study, Path(request.settings.warehouse.dir)
    folder = tables.write(request.findings, warehouse / "studies" / chosen.name)
    figures, undrawn = _draw(request, folder / "figures")
    entry = dataclasses.replace(ledger.begin("study", warehouse), started=request.started)
    counts = {"models": len({row.get("model_id") for row in request.findings.design})}
    ledger.end(entry, warehouse, config=request.config, status=Exit.DONE, counts=counts)
    key = hashlib.sha256(request.config.encode()).hexdigest()[:20]
    parts.write(
        warehouse, "study_results", f"{chosen.name}-{key}", _results(chosen.name, entry.run_id, request.findings)
    )
    build.publish_results(warehouse, keep=request.settings.warehouse.keep)
    return Done(entry.run_id, request.findings, folder, figures, undrawn)


def _draw(request: Request, folder: Path) -> tuple[tuple[Path, ...], str | None]:
    """The study's figures as files; without matplotlib none, and how to get it."""
    from zoospectra.jobs.show.figures.draw import MISSING, available

    if request.settings.figures == "none":
        return (), None
    if not available():
        return (), MISSING
    from zoospectra.jobs.show.figures.files import write
    from zoospectra.jobs.show.figures.studies import study_figures

    figures = study_figures(request.settings.study.kind, material(request))
    return write(figures, folder, request.settings.figures), None


def material(request: Request) -> Material:
    """What a study whose statistics are done has to draw from."""
    from zoospectra.jobs.show.figures.studies import Material
    from zoospectra.jobs.work.points import read_layers

    layers = read_layers(Path(request.settings.warehouse.dir))
    return Material(request.designs, request.settings.study.options, request.findings, layers, request.printed)


def _results(name: str, run_id: str, findings: Findings) -> pa.Table:
    import pyarrow as pa

    from zoospectra.warehouse.schema import PARTS

    data = [{"study": name, "run_id": run_id, **dataclasses.asdict(cell)} for cell in findings.cells]
    return pa.Table.from_pylist(data, schema=PARTS["study_results"])


def show(done: Done) -> None:
    """What fits of its tables, the study's sentences, and where the rest is."""
    from zoospectra.jobs.show.findings import print_findings
    from zoospectra.jobs.show.plain import plain

    print_findings(done.findings)
    if done.undrawn is not None:
        print(done.undrawn)
    print(
        plain(f"run {done.run_id}: {len(done.findings.cells)} cells and {len(done.figures)} figures in {done.folder}")
    )


VERB = Verb(HELP, StudySettings, check, study, show)
