"""`zoospectra bench`: measures this machine. Kernels by size, fits by K, whole layers, paired with the peers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.verb import Verb, check_one_profile

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.benches.pair import Row
    from zoospectra.jobs.words.command import Configuration

HELP = """usage: zoospectra bench [suites=kernels,fits,layers] [sizes=[768,4096]] [threads=[1,2]] [tails=[144,4096]]
                        [workloads=gpt2,one4096,four4096,cnn50] [executors=ray,inline] [rounds=5] [markdown=FILE]

Times every way of doing the same work in turns (A B A B), with medians and the spread of the ratios, and compares the
numbers. WeightWatcher and powerlaw take part where they are installed. Give it a quiet machine and some minutes."""

SUITES = ("kernels", "fits", "layers")


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """Values of `bench`."""

    suites: list[str] = field(default_factory=list)
    """What to measure, of SUITES."""
    sizes: list[int] = field(default_factory=list)
    """Sides of square matrices."""
    threads: list[int] = field(default_factory=list)
    """BLAS threads."""
    tails: list[int] = field(default_factory=list)
    """Numbers of eigenvalues."""
    workloads: list[str] = field(default_factory=list)
    """Sets of layers; `zoospectra bench --cfg` lists them."""
    executors: list[str] = field(default_factory=list)
    """Some of ray and inline; the first is what the others are compared with."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention to analyse by."""
    shrink: int = 1
    """Divides the workloads' sizes."""
    rounds: int = 5
    """Turns of every contender."""
    budget: float = 120.0
    """Seconds after which a case starts no further round."""
    markdown: str | None = None
    """File to write the table to."""

    def __post_init__(self) -> None:
        """Refuse unknown suites, more than one profile, and values that nothing can be measured with."""
        check_one_profile(self.profiles)
        if unknown := sorted(set(self.suites) - set(SUITES)):
            msg = f"suites={','.join(unknown)}: expected some of {', '.join(SUITES)}"
            raise ValueError(msg)
        for key, least in (("sizes", 8), ("tails", 8), ("threads", 1)):
            if wrong := [value for value in getattr(self, key) if value < least]:
                msg = f"{key}={wrong}: expected at least {least}"
                raise ValueError(msg)
        if min(self.shrink, self.rounds) < 1 or self.budget <= 0:
            msg = (
                f"shrink={self.shrink} rounds={self.rounds} budget={self.budget:g}: expected at least 1, 1 and above 0"
            )
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A bench that can begin."""

    settings: BenchSettings
    """As composed."""
    profile: Profile
    """Convention to analyse by."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a bench measured."""

    rows: tuple[Row, ...]
    """One a contender and case."""
    load: float
    """Load average of the last minute when it began."""
    markdown: str | None
    """File to write the table to."""


def check(settings: BenchSettings, configuration: Configuration) -> Request:
    """The profile; ValueError for unknown profiles, workloads and executors."""
    from zoospectra.jobs.benches.layers import WORKLOADS
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work.executors import EXECUTORS

    for key, known in (("workloads", WORKLOADS), ("executors", EXECUTORS)):
        if unknown := sorted(set(getattr(settings, key)) - set(known)):
            msg = f"{key}={','.join(unknown)}: expected some of {', '.join(known)}"
            raise ValueError(msg)
    return Request(settings, load_profiles(settings.profiles, configuration)[0])


def bench(request: Request) -> Measured:
    """Measure case by case; a line on stderr when one is done."""
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for case in _cases(request.settings, request.profile):
        rows += case
        print(f"bench: {case[0].suite}, {case[0].case}", file=sys.stderr, flush=True)
    return Measured(tuple(rows), load, request.settings.markdown)


def _cases(settings: BenchSettings, profile: Profile) -> Iterator[list[Row]]:
    from zoospectra.jobs.benches.fits import fits
    from zoospectra.jobs.benches.kernels import kernels
    from zoospectra.jobs.benches.layers import layers

    rounds, budget = settings.rounds, settings.budget
    if "kernels" in settings.suites:
        yield from kernels(settings.sizes, settings.threads, rounds, budget)
    if "fits" in settings.suites:
        yield from fits(settings.tails, rounds, budget)
    if "layers" in settings.suites:
        workloads, executors = settings.workloads, settings.executors
        yield from layers(workloads, executors, profile, shrink=settings.shrink, rounds=rounds, budget=budget)


def show(result: Measured) -> None:
    """The table, and the file it was written to."""
    import pyarrow as pa

    from zoospectra.jobs.benches.table import HEAD, cells, markdown
    from zoospectra.jobs.show.display import print_table

    print_table(pa.Table.from_pylist([dict(zip(HEAD, cells(row), strict=True)) for row in result.rows]))
    if result.markdown:
        Path(result.markdown).write_text(markdown(result.rows, result.load))
        print(f"written to {result.markdown}")


VERB = Verb(HELP, BenchSettings, check, bench, show)
