"""`zoospectra scan`: crawl a zoo, analyse what is new, load the warehouse, summarise."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoospectra.jobs.words.fit import FitSettings
from zoospectra.jobs.words.verb import Verb
from zoospectra.jobs.work.crawl import ZooSettings
from zoospectra.jobs.work.executors import Cluster
from zoospectra.jobs.work.schedule import check_attempts
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.fetch.settings import GB, FetchSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.jobs.work.execute import Run
    from zoospectra.jobs.work.night import Night
    from zoospectra.zoo.layers.rules import Rules
    from zoospectra.zoo.model import Model

HELP = """usage: zoospectra scan [zoo=digits|local|...] [zoo.path=DIR] [models=GLOB,...] [limit=N] [profiles=NAME,...]
                       [cluster=inline|local|ray] [warehouse.dir=DIR] [format=text|json] [log=FILE] [fail=any|new|never]

Crawls a zoo, analyses the tensors that the warehouse does not know yet, builds a new generation of the warehouse and
prints what it found. Without arguments: the embedded digits zoo, offline. Interrupted scans go on where they were.

What is new, changed, worse, failed and gone since the warehouse was last published is printed, and kept as a page in
DIR/nights. fail=new: only failures that were not there before make the status 3; format=json is for programs.

exit status: 0 all done; 3 some models or layers failed, listed with reasons; 2 wrong usage; 1 the job itself broke"""

FORMATS, FAILING = ("text", "json"), ("any", "new", "never")
"""Values of `format` and of `fail`."""


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Values of `scan`."""

    zoo: ZooSettings = field(default_factory=ZooSettings)
    cluster: Cluster = field(default_factory=Cluster)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """Names of conventions to analyse by."""
    models: list[str] = field(default_factory=list)
    """Globs on a model's name or id; none means all."""
    limit: int | None = None
    """At most so many models, in the zoo's order."""
    shard_seconds: float = 1.0
    """Predicted seconds of work that travel together at most; less where a run is too small to fill every core."""
    attempts: int = 2
    """Tries of a task whose worker died."""
    format: str = "text"
    """How the summary is printed: 'text', or 'json' for programs."""
    log: str | None = None
    """File that every line of news is added to, with its time; null for none."""
    fail: str = "any"
    """Failures that make the exit status 3: 'any', 'new' ones that the warehouse did not have before, or 'never'."""

    def __post_init__(self) -> None:
        """Refuse values that no scan can run with."""
        for key, known in (("format", FORMATS), ("fail", FAILING)):
            if getattr(self, key) not in known:
                msg = f"{key}={getattr(self, key)}: expected one of {', '.join(known)}"
                raise ValueError(msg)
        check_attempts(self.attempts)
        if not self.shard_seconds > 0:
            msg = f"shard_seconds={self.shard_seconds:g}: expected more than 0"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A scan that can begin."""

    settings: ScanSettings
    """As composed."""
    models: Sequence[Model]
    """What the zoo lists and the user chose."""
    profiles: tuple[Profile, ...]
    """Conventions to analyse by."""
    rules: Rules
    """What the user knows better about tensors."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan that came to its end."""

    request: Request
    """What was asked for."""
    run: Run
    """What it did."""
    night: Night
    """What it changed."""
    page: Path
    """Where that is kept as a page."""


def check(settings: ScanSettings, configuration: Configuration) -> Request:
    """Profiles and catalog; ValueError for whatever is not there."""
    from zoospectra.jobs.show.log import check_log
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.words.rules import load_rules
    from zoospectra.jobs.work.crawl import crawl
    from zoospectra.zoo.fetch.settings import configure

    check_log(settings.log)
    profiles = load_profiles(settings.profiles, configuration, engine=settings.fit.engine)
    rules = load_rules(settings.zoo.rules, "zoo.rules")
    cache = Path(settings.warehouse.dir) / "cache"
    configure(settings.fetch, cache / "fetch")
    models = crawl(settings.zoo, cache, settings.models, settings.limit)
    return Request(settings, models, profiles, rules)


def scan(request: Request) -> Scan:
    """Analyse what is missing of these models and publish a new generation of the warehouse.

    Equivalent, for one model and the profile `weightwatcher`, to `WeightWatcher(model).analyze()`, with the layers it
    drops.
    """
    from zoospectra.jobs.show.log import log, logged
    from zoospectra.jobs.show.nights import sentences, write_page
    from zoospectra.jobs.work.engine import Engine
    from zoospectra.jobs.work.execute import execute
    from zoospectra.jobs.work.executors import Ahead
    from zoospectra.jobs.work.job import Job
    from zoospectra.jobs.work.night import night, state

    settings = request.settings
    job = Job(
        "scan",
        request.profiles,
        settings.warehouse,
        settings.cluster,
        models=request.models,
        attempts=settings.attempts,
        shard_seconds=settings.shard_seconds,
        ahead=Ahead(max(1, settings.fetch.ahead), settings.fetch.cache_gb * GB / 2 * bool(settings.fetch.ahead)),
        rules=request.rules,
        config=json.dumps(dataclasses.asdict(settings)),
    )
    warehouse = Path(settings.warehouse.dir)
    whole = not settings.models and settings.limit is None
    with logged(settings.log):
        log(f"scan: {len(request.models)} models of {settings.zoo.name}")
        before = state(warehouse)
        run = execute(job, partial(Engine.open_models, models=request.models))
        scope = (model.model_id for model in request.models)
        change = night(before, state(warehouse, before), scope, zoo=settings.zoo.name if whole else None)
        for sentence in (f"run {run.run_id} ended: {run.counts.failed} failed", *sentences(change)):
            log(f"scan: {sentence}")
    return Scan(request, run, change, write_page(change, run.run_id, warehouse))


def show(result: Scan) -> None:
    """The summary of a scan, read back from the warehouse it built, and what is different from before."""
    from zoospectra.jobs.show.nights import sentences
    from zoospectra.jobs.show.summary import print_summary

    request = result.request
    if request.settings.format == "json":
        print(json.dumps(_plain(result), indent=1))
        return
    print_summary(result.run, request.models, request.profiles, Path(request.settings.warehouse.dir))
    for sentence in sentences(result.night):
        print(sentence)
    print(f"night: {result.page}")


def _plain(result: Scan) -> dict[str, Any]:
    """What programs read: the run, its counts, and what it changed."""
    changed = {name: list(value) for name, value in dataclasses.asdict(result.night).items()}
    for kind in ("new_failures", "known_failures", "mended"):
        changed[kind] = [failure._asdict() for failure in getattr(result.night, kind)]
    return {
        "run_id": result.run.run_id,
        "counts": dataclasses.asdict(result.run.counts),
        "warehouse": str(result.run.warehouse),
        "page": str(result.page),
        **changed,
    }


def failures(result: Scan) -> int:
    """Failures that count, by `fail`."""
    known = {"any": result.run.counts.failed, "new": len(result.night.new_failures), "never": 0}
    return known[result.request.settings.fail]


VERB = Verb(HELP, ScanSettings, check, scan, show, failures=failures)
