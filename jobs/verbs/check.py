"""`zoospectra check TARGET`: is it any good, is it whole: one screen, and an exit status for scripts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.jobs.checks import CHECKS
from zoospectra.jobs.checks.record import NEVER, SEVERITIES, Subject
from zoospectra.jobs.words.verb import REGISTRY, VARIANTS, Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.fetch.settings import FetchSettings

if TYPE_CHECKING:
    from zoospectra.jobs.checks.record import Check, Report
    from zoospectra.jobs.words.command import Configuration

FORMATS = ("text", "json")
"""How reports are printed."""

NO_ZOO = "none"
"""Value of `zoo` where TARGET says what is looked at."""

NUMBERS = "published"
"""The source that has no weights."""

FAILING = (*SEVERITIES, NEVER)
"""Values of `fail`."""

HELP = f"""usage: zoospectra check TARGET|zoo=NAME [what={",".join(CHECKS)}] [format={"|".join(FORMATS)}]
                        [fail={"|".join(FAILING)}] [models=GLOB,...] [limit=N] [warehouse.dir=DIR]

Looks at one checkpoint (a file, a folder, FILE#NET), at every checkpoint of a folder, at models of the warehouse (an id
or a glob), at a model of the hub (author/name), or at the models of a zoo, and says in a sentence what it thinks of it
and why. Integrity of a model of the warehouse is judged by what is kept of it, of a zoo by its files. No warehouse is
needed, and nothing is kept. what= chooses what to look at; format=json is for programs.

exit status: 0 nothing at or above fail= (default: warning); 3 some finding is; 2 wrong usage; 1 the job itself broke"""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Of no zoo."""


def _variants() -> dict[str, dict[str, str]]:
    from zoospectra.zoo.sources import SOURCES

    return {name: {"source": name, "name": name} for name in (NO_ZOO, *SOURCES)}


def _options(values: Mapping[str, Any]) -> type[Any]:
    from zoospectra.zoo.sources import source

    return NoOptions if values.get("source", NO_ZOO) == NO_ZOO else source(values["source"]).options


@dataclass(frozen=True, slots=True)
class CheckedZoo:
    """Whose models are looked at, with the keys that `scan` has."""

    source: str = field(default=NO_ZOO, metadata={VARIANTS: _variants})
    """Name of a source, as in `scan`; none for TARGET."""
    name: str = NO_ZOO
    """Prefix of the models' ids."""
    rules: str | None = None
    """Not used: damage is looked for in every tensor."""
    options: Any = field(default=None, metadata={REGISTRY: _options})
    """Options of the source."""


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """Values of `check`."""

    target: str | None = None
    """A checkpoint, a folder of them, models of the warehouse or of the hub."""
    zoo: CheckedZoo = field(default_factory=CheckedZoo)
    models: list[str] = field(default_factory=list)
    """Of a zoo: globs on a model's name or id; none means all."""
    limit: int | None = None
    """Of a zoo: at most so many models, in its order."""
    what: list[str] = field(default_factory=lambda: ["quality"])
    """What to look at; several are separated by commas."""
    format: str = "text"
    """How reports are printed: 'text', or 'json' for programs."""
    fail: str = "warning"
    """Mildest finding that makes the exit status 3, 'note', 'warning' or 'error'; or 'never'."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)

    def __post_init__(self) -> None:
        """Refuse what is unknown."""
        if not self.what or (unknown := sorted(set(self.what) - set(CHECKS))):
            msg = f"what={','.join(unknown) if self.what else '[]'}: expected some of {', '.join(CHECKS)}"
            raise ValueError(msg)
        for key, known in (("format", FORMATS), ("fail", FAILING)):
            if getattr(self, key) not in known:
                msg = f"{key}={getattr(self, key)}: expected one of {', '.join(known)}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """Checks that can begin."""

    settings: CheckSettings
    """As composed."""
    work: tuple[tuple[Check, Subject], ...]
    """What looks at what."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks say."""

    settings: CheckSettings
    """As composed."""
    reports: tuple[Report, ...]
    """One a check and subject."""


def check(settings: CheckSettings, _configuration: Configuration) -> Request:
    """Find what is to be looked at; ValueError when it is not there."""
    from zoospectra.jobs.checks import load_check
    from zoospectra.jobs.checks.subject import subjects
    from zoospectra.warehouse.connect import newest
    from zoospectra.zoo.fetch.settings import configure

    warehouse = Path(settings.warehouse.dir)
    chosen = [load_check(name) for name in dict.fromkeys(settings.what)]
    of_models = [single for single in chosen if not single.of_warehouse]
    configure(settings.fetch, warehouse / "cache" / "fetch")
    _refuse(settings, of_models=bool(of_models))
    if len(of_models) < len(chosen):
        newest(warehouse)
    models: tuple[Subject, ...] = ()
    if settings.zoo.source != NO_ZOO:
        models = _of_zoo(settings, warehouse)
    elif of_models and settings.target:
        models = subjects(settings.target, warehouse)
    work = [(single, model) for model in models for single in of_models]
    work += [(single, Subject(str(warehouse), None, warehouse)) for single in chosen if single.of_warehouse]
    return Request(settings, tuple(work))


def _refuse(settings: CheckSettings, *, of_models: bool) -> None:
    """ValueError for a target and a zoo together, for neither, and for keys of a zoo without one."""
    zoo = settings.zoo.source
    if zoo != NO_ZOO and settings.target is not None:
        msg = f"zoo={zoo}: expected no TARGET beside it, got {settings.target}"
        raise ValueError(msg)
    if zoo != NO_ZOO and not of_models:
        msg = f"zoo={zoo}: expected with what=quality or what=integrity, what=warehouse looks at warehouse.dir"
        raise ValueError(msg)
    if zoo == NUMBERS:
        msg = f"zoo={zoo}: expected a zoo of weights, it lists published numbers"
        raise ValueError(msg)
    if zoo == NO_ZOO and (settings.models or settings.limit is not None):
        key = "models" if settings.models else "limit"
        msg = f"{key}=...: expected zoo=NAME with it; models of the warehouse are a TARGET such as 'local/*'"
        raise ValueError(msg)
    if of_models and zoo == NO_ZOO and settings.target is None:
        msg = "expected TARGET: a checkpoint, a folder of them, a model of the warehouse or of the hub; or zoo=NAME"
        raise ValueError(msg)


def _of_zoo(settings: CheckSettings, warehouse: Path) -> tuple[Subject, ...]:
    """Models of a zoo where their weights are; ValueError as for a scan of it."""
    from zoospectra.jobs.work.crawl import ZooSettings, crawl

    zoo = ZooSettings(settings.zoo.source, settings.zoo.name, None, settings.zoo.options)
    listed = crawl(zoo, warehouse / "cache", settings.models, settings.limit)
    return tuple(Subject(model.model_id, model.path, warehouse) for model in listed)


def inspect(request: Request) -> Checked:
    """Look at everything, one after the other."""
    return Checked(request.settings, tuple(single.run(subject) for single, subject in request.work))


def show(checked: Checked) -> None:
    """The reports, for people or for programs."""
    from zoospectra.jobs.show.report import print_report

    if checked.settings.format == "json":
        print(json.dumps([dataclasses.asdict(report) for report in checked.reports], indent=1))
        return
    for report in checked.reports:
        print_report(report)


def failures(checked: Checked) -> int:
    """Findings at or above `fail`."""
    if checked.settings.fail == NEVER:
        return 0
    least = SEVERITIES.index(checked.settings.fail)
    return sum(SEVERITIES.index(finding.severity) >= least for report in checked.reports for finding in report.findings)


TARGET = (Positional("target", "TARGET", optional=True),)
VERB = Verb(HELP, CheckSettings, check, inspect, show, failures=failures, positional=TARGET)
