"""`zoospectra report`: a warehouse, a series, a model, two models, a study or a run as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.verb import Positional, Verb, check_one_profile
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.jobs.show.page.record import Page
    from zoospectra.jobs.words.command import Configuration

HELP = """usage: zoospectra report [MODEL [OTHER]] [series=NAME] [studies=NAME] [run=RUN_ID|latest] [profiles=NAME]
                         [to=FILE] [warehouse.dir=DIR]

One HTML file that asks the network for nothing: of the warehouse, of one series, of MODEL, of MODEL and OTHER side by
side, of a study, or of a run (a night's scan). Figures with hover and zoom, a figure with controls for metric, group,
direction and profile, and every number in a table. FILE is warehouse.dir/report.html unless given. MODEL is a model_id,
or a glob that matches one. Needs Vega-Lite: pip install 'zoospectra[figures]'."""


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Values of `report`."""

    model: str | None = None
    """A model_id, or a glob that matches one."""
    other: str | None = None
    """Another model, to compare with."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    series: str | None = None
    """Series of the catalog."""
    studies: str | None = None
    """Kind of a study, or its file in conf/study; `study` is a group of values, those of the verb study."""
    run: str | None = None
    """A run_id, or latest."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention of figures of layers."""
    to: str | None = None
    """File; None means warehouse.dir/report.html."""

    def __post_init__(self) -> None:
        """Refuse two subjects at once, and more than one profile."""
        subjects = {"MODEL": self.model, "series": self.series, "studies": self.studies, "run": self.run}
        given = [name for name, value in subjects.items() if value is not None]
        if len(given) > 1:
            msg = f"{' and '.join(given)}: expected one of MODEL, series=NAME, studies=NAME and run=RUN_ID"
            raise ValueError(msg)
        check_one_profile(self.profiles)


@dataclass(frozen=True, slots=True)
class Request:
    """A page whose numbers are read."""

    page: Page
    """What it holds."""
    path: Path
    """Where it goes."""


@dataclass(frozen=True, slots=True)
class Written:
    """A page that is written."""

    path: Path
    """The file."""
    size: int
    """Bytes."""


def check(settings: ReportSettings, configuration: Configuration) -> Request:
    """Read the numbers; ValueError for a missing warehouse, an unknown name, and when Vega-Lite is missing."""
    from zoospectra.jobs.show.page.html import MISSING, available

    if not available():
        raise ValueError(MISSING)
    directory = Path(settings.warehouse.dir)
    path = directory / "report.html" if settings.to is None else Path(settings.to)
    return Request(_page(settings, directory, configuration), path)


def _page(settings: ReportSettings, directory: Path, configuration: Configuration) -> Page:
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work import report

    if settings.studies is not None:
        return _study(settings.studies, directory, configuration)
    if settings.run is not None:
        return report.night(directory, settings.run)
    if settings.model is None:
        return report.warehouse(directory, settings.profiles[0], settings.series)
    (profile,) = load_profiles(settings.profiles, configuration)
    if settings.other is None:
        return report.model(directory, settings.model, profile)
    return report.pair(directory, [settings.model, settings.other], profile)


def _study(name: str, directory: Path, configuration: Configuration) -> Page:
    """The study done anew on the newest generation, as the verb does it; nothing is kept."""
    from zoospectra.jobs.verbs import study as verb
    from zoospectra.jobs.work import report

    words = [f"study={name}", f"warehouse.dir={directory}"]
    request = verb.check(configuration.settings("study", verb.StudySettings, words), configuration)
    return report.study(directory, name, request.settings.study.kind, verb.material(request))


def report(request: Request) -> Written:
    """Write the page beside first, then move it."""
    from zoospectra.jobs.show.page.html import html
    from zoospectra.warehouse.disk import written

    text = html(request.page).encode()
    request.path.parent.mkdir(parents=True, exist_ok=True)
    beside = request.path.with_name(request.path.name + ".part")
    with written(beside):
        beside.write_bytes(text)
    beside.rename(request.path)
    return Written(request.path, len(text))


def show(written: Written) -> None:
    """Where it is and how large."""
    from zoospectra.jobs.show.plain import plain
    from zoospectra.jobs.show.units import size

    print(f"{plain(str(written.path))}: {size(written.size)}, open it in any browser")


WORDS = (Positional("model", "MODEL", optional=True), Positional("other", "OTHER", optional=True))
VERB = Verb(HELP, ReportSettings, check, report, show, positional=WORDS)
