"""Options that studies of reported numbers share, each with its meaning and its check, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from zoospectra.analysis.studies.independence import check_independent
from zoospectra.analysis.studies.lines import SMALLEST
from zoospectra.analysis.studies.record import at_least, iso_date


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Which reported numbers lines are drawn through."""

    targets: list[str] = field(default_factory=list)
    """Reported metrics; empty means on each data set the one that most models have, a test score first."""
    datasets: list[str] = field(default_factory=list)
    """Data sets of the reported metrics; empty means all."""
    source_date: str | None = None
    """Reported numbers as of this date, ISO; None means the newest."""
    smallest: int = SMALLEST
    """Models that a line or a group needs to count."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        at_least("smallest", self.smallest, 3)
        iso_date("source_date", self.source_date)


@dataclass(frozen=True, slots=True)
class PopulationOptions(TargetOptions):
    """Which models, by which convention, and whether relatives count as independent."""

    profile: str | None = None
    """Profile; None means every one of the warehouse."""
    independent: str = "off"
    """off, cluster (families of kin are clusters of the errors of lines, not of verdicts) or one (one model a family,
    for verdicts too)."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        TargetOptions.__post_init__(self)
        check_independent(self.independent)
