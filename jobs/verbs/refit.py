"""`zoospectra refit profiles=[...]`: new fits from stored spectra, for the whole warehouse; no weights, no network."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.fit import FitSettings
from zoospectra.jobs.words.verb import Verb
from zoospectra.jobs.work.executors import Cluster
from zoospectra.jobs.work.schedule import check_attempts
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.jobs.work.execute import Run

HELP = """usage: zoospectra refit profiles=NAME,... [fit.engine=own|powerlaw] [cluster=inline|local|ray]
                        [warehouse.dir=DIR]

Adds a profile, or a second opinion on its fits, to a whole warehouse from the spectra it keeps. Tensors whose spectra a
profile needs and the warehouse lacks (other unfold rules, shuffled copies) are counted: a scan adds them."""


@dataclass(frozen=True, slots=True)
class RefitSettings:
    """Values of `refit`."""

    cluster: Cluster = field(default_factory=Cluster)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    profiles: list[str] = field(default_factory=lambda: ["corrected"])
    """Names of conventions to fit by."""
    attempts: int = 2
    """Tries of a task whose worker died."""

    def __post_init__(self) -> None:
        """Refuse values that no refit can run with."""
        check_attempts(self.attempts)


@dataclass(frozen=True, slots=True)
class Request:
    """A refit that can begin."""

    settings: RefitSettings
    """As composed."""
    profiles: tuple[Profile, ...]
    """Conventions to fit by."""


@dataclass(frozen=True, slots=True)
class Refit:
    """A refit that came to its end."""

    request: Request
    """What was asked for."""
    run: Run
    """What it did."""


def check(settings: RefitSettings, configuration: Configuration) -> Request:
    """Profiles; ValueError for unknown ones and where there is nothing to fit."""
    from zoospectra.jobs.words.profiles import load_profiles

    warehouse = settings.warehouse.dir
    if not Path(warehouse, "parts").is_dir():
        msg = f"no parts at {warehouse}: run 'zoospectra scan warehouse.dir={warehouse}' first"
        raise ValueError(msg)
    return Request(settings, load_profiles(settings.profiles, configuration, engine=settings.fit.engine))


def refit(request: Request) -> Refit:
    """Fit every stored spectrum under these profiles and publish a new generation of the warehouse."""
    from zoospectra.jobs.work.engine import Engine
    from zoospectra.jobs.work.execute import execute
    from zoospectra.jobs.work.job import Job

    settings = request.settings
    job = Job(
        "refit",
        request.profiles,
        settings.warehouse,
        settings.cluster,
        attempts=settings.attempts,
        config=json.dumps(dataclasses.asdict(settings)),
    )
    return Refit(request, execute(job, Engine.refit))


def show(result: Refit) -> None:
    """What was fitted, what was known, what lacks a spectrum, what failed."""
    counts, names = result.run.counts, ", ".join(profile.name for profile in result.request.profiles)
    print(f"run {result.run.run_id}: {counts.fitted} tensors fitted under {names}, {counts.known} known already")
    if counts.lacking:
        print(f"{counts.lacking} tensors lack a spectrum that {names} needs: scan their zoo with profiles={names}")
    if counts.failed:
        print(f"{counts.failed} failed: SELECT * FROM skipped WHERE failed")
    print(f"warehouse: {Path(result.request.settings.warehouse.dir, 'warehouse.duckdb')}")


VERB = Verb(HELP, RefitSettings, check, refit, show, failures=lambda result: result.run.counts.failed)
