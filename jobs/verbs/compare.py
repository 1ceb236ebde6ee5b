"""`zoospectra compare [BASE] PATH`: two checkpoints of one architecture, layer by layer, from their weights."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.words.verb import Positional, Verb, check_one_profile
from zoospectra.jobs.work.executors import Cluster
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.fetch.settings import FetchSettings

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.jobs.work.compare import Opened

WAYS = ("auto", "adapter", "card", "kin")
"""Values of `base`: how it is found when it is not given."""

HELP = f"""usage: zoospectra compare [BASE] PATH [base={"|".join(WAYS)}] [keep=true] [all=true] [profiles=NAME]
                          [cluster=inline|local|ray] [format={"|".join(FORMATS)}] [warehouse.dir=DIR]

Compares two checkpoints layer by layer: relative distance, cosine, linear CKA, and alpha, norms, rank, entropy, signal
and energy of each and of their difference. Each is a file, a folder, FILE#NET, a model of the warehouse whose
checkpoint is still where it was, or a model of the hub (author/name). Without BASE it is what the adapter's
configuration names (the adapter is compared merged into it), what the model's card names, or its nearest relative in
the warehouse. Layers are matched by name and read one pair at a time, in this process or by the tasks of a cluster. One
without a partner of its shape, one that cannot be read and a tensor that was refused are rows that say so; all=true
lists tensors that are no layers too. keep=true keeps the rows, with the eigenvalues of every difference, in the table
delta_metrics.

exit status: 0 every pair was compared; 3 a layer could not be read, is too large or holds NaN, or a tensor was refused;
2 wrong usage; 1 the job itself broke"""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Values of `compare`."""

    checkpoints: list[str] = field(default_factory=list)
    """The base and the other checkpoint, or the other alone."""
    base: str = "auto"
    """How the base is found when it is not given: one of WAYS."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention to analyse by."""
    keep: bool = False
    """Whether the rows go to the warehouse."""
    all: bool = False
    """Whether tensors that are no layers by rule (biases, norms, buffers) are listed."""
    format: str = "table"
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""
    cluster: Cluster = field(default_factory=lambda: Cluster("inline"))
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)

    def __post_init__(self) -> None:
        """Refuse a format that is unknown, more than one profile, and a GPU, which nothing here uses."""
        check_format(self.format, self.formulas)
        if len(self.checkpoints) not in (1, 2):
            msg = f"expected [BASE] PATH, got {len(self.checkpoints)} words: {' '.join(self.checkpoints)[:80]}"
            raise ValueError(msg)
        if self.base not in WAYS:
            msg = f"base={self.base}: expected one of {', '.join(WAYS)}; a base by its name goes before PATH"
            raise ValueError(msg)
        if len(self.checkpoints) == 2 and self.base != "auto":
            msg = f"base={self.base}: expected PATH alone, BASE is given: {self.checkpoints[0]}"
            raise ValueError(msg)
        check_one_profile(self.profiles)
        if self.cluster.device != "cpu":
            msg = f"cluster.device={self.cluster.device}: expected cpu, pairs are compared on CPUs"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison that can begin."""

    base: Opened
    """The base."""
    other: Opened
    """What is compared with it."""
    profile: Profile
    """Convention to analyse by."""
    settings: CompareSettings
    """As composed."""
    named: str = ""
    """Which base was found, and who names it; '' where it was given."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A comparison as it is printed."""

    shown: Printable
    """One row a layer of either checkpoint, one a refused tensor."""
    named: str
    """Which base was found, and who names it; '' where it was given."""
    failed: int
    """Rows that something is wrong with."""


def check(settings: CompareSettings, configuration: Configuration) -> Request:
    """Open both; ValueError for a missing or unreadable checkpoint, and where no base is given or found."""
    from zoospectra.jobs.checks.subject import checkpoint
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work.base import find_base
    from zoospectra.jobs.work.compare import opened
    from zoospectra.zoo.fetch.settings import configure

    warehouse = Path(settings.warehouse.dir)
    configure(settings.fetch, warehouse / "cache" / "fetch")
    (profile,) = load_profiles(settings.profiles, configuration)
    *given, other = (checkpoint(target, warehouse) for target in settings.checkpoints)
    base, other, words = (given[0], other, "") if given else find_base(other, settings.base)
    return Request(opened(base.path or "", base.name), opened(other.path or "", other.name), profile, settings, words)


def compare(request: Request) -> Answer:
    """Compare, and keep the rows where that is asked for."""
    from zoospectra.jobs.work.compare import deltas
    from zoospectra.jobs.work.plan import digest
    from zoospectra.warehouse import build, parts

    settings, directory = request.settings, Path(request.settings.warehouse.dir)
    base, other = request.base, request.other
    result = deltas(base, other, request.profile, settings.cluster, every=settings.all)
    if settings.keep:
        parts.write(directory, "delta_metrics", digest([base.name, other.name, request.profile.key]), result.kept)
        build.publish_results(directory, keep=settings.warehouse.keep)
    return Answer(
        Printable(result.shown, settings.format, settings.formulas, keep=("distance",)), request.named, result.failed
    )


def show(answer: Answer) -> None:
    """The rows; which base was found goes to stderr, beside whatever the format is."""
    if answer.named:
        print(f"base: {plain(answer.named)}", file=sys.stderr)
    print_as(answer.shown)


PATHS = (Positional("checkpoints", "[BASE] PATH", many=True),)
VERB = Verb(HELP, CompareSettings, check, compare, show, failures=lambda answer: answer.failed, positional=PATHS)
