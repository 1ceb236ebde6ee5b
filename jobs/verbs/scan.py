"""`zoospectra scan`: crawl a zoo, analyse what is new, load the warehouse, summarise."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.fit import FitSettings
from zoospectra.jobs.words.verb import Verb
from zoospectra.jobs.work.crawl import ZooSettings
from zoospectra.jobs.work.executors import Cluster
from zoospectra.jobs.work.schedule import check_attempts
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.fetch.settings import FetchSettings

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.jobs.work.execute import Run
    from zoospectra.zoo.layers.rules import Rules
    from zoospectra.zoo.model import Model

HELP = """usage: zoospectra scan [zoo=digits|local|...] [zoo.path=DIR] [models=GLOB,...] [limit=N] [profiles=NAME,...]
                       [cluster=inline|local|ray] [warehouse.dir=DIR]

Crawls a zoo, analyses the tensors that the warehouse does not know yet, builds a new generation of the warehouse and
prints what it found. Without arguments: the embedded digits zoo, offline. Interrupted scans go on where they were.

exit status: 0 all done; 3 some models or layers failed, listed with reasons; 2 wrong usage; 1 the job itself broke"""


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
    """Predicted seconds of work that travel together."""
    attempts: int = 2
    """Tries of a task whose worker died."""

    def __post_init__(self) -> None:
        """Refuse values that no scan can run with."""
        check_attempts(self.attempts)
        if not self.shard_seconds > 0:
            msg = f"shard_seconds={self.shard_seconds:g}: expected more than 0"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A scan that can begin."""

    settings: ScanSettings
    """As composed."""
    models: tuple[Model, ...]
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


def check(settings: ScanSettings, configuration: Configuration) -> Request:
    """Profiles and catalog; ValueError for whatever is not there."""
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.words.rules import load_rules
    from zoospectra.jobs.work.crawl import crawl
    from zoospectra.zoo.fetch.settings import configure

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
    from zoospectra.jobs.work.engine import Engine, Job
    from zoospectra.jobs.work.execute import execute

    settings = request.settings
    job = Job(
        "scan",
        request.profiles,
        settings.warehouse,
        settings.cluster,
        models=request.models,
        attempts=settings.attempts,
        shard_seconds=settings.shard_seconds,
        rules=request.rules,
        config=json.dumps(dataclasses.asdict(settings)),
    )
    return Scan(request, execute(job, partial(Engine.open_models, models=request.models)))


def show(result: Scan) -> None:
    """The summary of a scan, read back from the warehouse it built."""
    from zoospectra.jobs.show.summary import print_summary

    request = result.request
    print_summary(result.run, request.models, request.profiles, Path(request.settings.warehouse.dir))


VERB = Verb(HELP, ScanSettings, check, scan, show, failures=lambda result: result.run.counts.failed)
