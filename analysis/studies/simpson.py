"""Simpson's paradox in a zoo: every metric by every grouping, verdicts, and the statistics behind them.

SIMPSON ranks all pairs of a population, SIMPSON_GROUPS shows the groups of the first ones, LINES the full statistics of
every metric by series, SCALE_SHAPE how much of alpha_weighted and of the target comes from scale and from shape.
Direction: reported = a + b * metric. Verdicts: analysis.simpson and docs/statistics.md. Not covered: causes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from zoospectra.analysis.simpson import LEVEL, Candidate, Verdict, order, search
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.statistics.robust import robust_slope
from zoospectra.analysis.statistics.shares import scale_and_shape
from zoospectra.analysis.statistics.theil_sen import theil_sen
from zoospectra.analysis.studies.lines import NORMALITY, STATISTICS, Point, adjusted, cells
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import (
    Population,
    check_metrics,
    covariates,
    groupings,
    metrics,
    populations,
)
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Study, at_least
from zoospectra.analysis.studies.target import mixed_units, unnamed

SHOWN = 6
"""Pairs whose groups are shown."""
VERDICTS = "independent=cluster corrects LINES alone: verdicts of SIMPSON count every model; ask with independent=one"
"""Note beside verdicts that do not know of families."""


@dataclass(frozen=True, slots=True)
class Options(PopulationOptions):
    """Options of the study."""

    groupings: list[str] = field(default_factory=list)
    """Columns of the catalog to group by; empty means every one with two groups that are large enough."""
    covariates: list[str] = field(default_factory=list)
    """Columns of numbers to hold constant in partial slopes; empty means every one with many different values."""
    metrics: list[str] = field(default_factory=list)
    """Averages to regress on; empty means the papers' six."""
    replicates: int = 1000
    """Resamples of each bootstrap interval."""
    seed: int = 0
    """Of every random draw."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        PopulationOptions.__post_init__(self)
        at_least("replicates", self.replicates, 100)
        at_least("seed", self.seed, 0)


def run(designs: Designs, options: Options) -> Findings:
    """Search and statistics of every population."""
    found = populations(designs, options)
    if not found:
        return Findings((), notes=("no model has a reported metric: nothing to regress on",))
    check_metrics(found, options.metrics)
    notes: list[str] = [VERDICTS] if options.independent == "cluster" else []
    notes += unnamed(designs["reported"], options.datasets)
    notes += mixed_units(one.target for one in found)
    searches = [_searched(one, options) for one in found]
    notes += _about(searches, options)
    pairs = [(one, pair) for one in searches for pair in one.pairs]
    ranked = [pairs[place] for place in order([pair for _, pair in pairs])]
    made = [cell for one, pair in ranked for cell in _pair(one, pair)]
    made += [cell for one in searches for pair in one.questions[:SHOWN] for cell in _groups(one, pair)]
    for one in found:
        made += _lines(one, options)
        made += _shares(one, options)
    notes += [_headline(one.population, pair) for one, pair in ranked if _turns(pair)]
    return Findings(tuple(adjusted(made)), tuple(row for one in found for row in one.design()), tuple(notes))


@dataclass(frozen=True, slots=True)
class Searched:
    """A population and what the search found in it."""

    population: Population
    """Models, averages, one reported number."""
    groupings: Mapping[str, Sequence[Hashable]]
    """Column of the catalog -> group of every model."""
    held: Mapping[str, Sequence[float | None]]
    """Covariate -> its value of every model."""
    pairs: Sequence[Candidate]
    """Every metric by every grouping, the clearest reversal first."""

    @property
    def questions(self) -> list[Candidate]:
        """Pairs without those that ask the same again."""
        return [pair for pair in self.pairs if pair.same_as is None]


def _searched(one: Population, options: Options) -> Searched:
    chosen = groupings(one, options.groupings, options.smallest)
    held = covariates(one, options.covariates)
    ranked = search(metrics(one, options.metrics), one.y, chosen, seed=options.seed, smallest=options.smallest)
    return Searched(one, chosen, held, ranked)


def _about(searches: Sequence[Searched], options: Options) -> list[str]:
    """Sentences on what was searched in which population, and where there was nothing to search."""
    notes = []
    for one in searches:
        label = one.population.label
        if one.held and not one.pairs:
            notes.append(f"{label}: numbers of many values, which study=batch can hold constant: {', '.join(one.held)}")
        if not one.pairs:
            continue
        counted = Counter(pair.verdict() for pair in one.questions)
        words = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counted.items()))
        notes.append(f"{label}: {len(one.questions)} pairs of metric and grouping at level {LEVEL:g}: {words}")
        if one.held:
            notes.append(f"{label}: covariates of the partial slopes: {', '.join(one.held)}")
        for name, first in dict.fromkeys((pair.grouping, pair.same_as) for pair in one.pairs if pair.same_as):
            notes.append(f"{label}: {name} makes the same groups as {first}: counted once")
    idle = [f"{one.population.label} ({len(one.population.rows)} models)" for one in searches if not one.pairs]
    if idle:
        notes.append(f"no grouping with two groups of at least {options.smallest} models: {', '.join(idle)}")
    return [*notes, "direction of all lines: reported number = a + b * metric"]


def _turns(pair: Candidate) -> bool:
    """Whether the pair is worth a sentence."""
    return pair.same_as is None and pair.found.verdict in (Verdict.REVERSAL, Verdict.PARTIAL, Verdict.OPPOSED)


def _headline(one: Population, pair: Candidate) -> str:
    """A pair's verdict in words, with both slopes."""
    found = pair.found
    slopes = f"slope {found.pooled.slope:+.4g} pooled, {found.within.slope:+.4g} inside groups"
    return f"{one.label} / {pair.metric} by {pair.grouping}: {pair.verdict()}: {slopes}; {found.reason}"


def _pair(searched: Searched, pair: Candidate) -> list[Cell]:
    one, labels, held = searched.population, searched.groupings[pair.grouping], searched.held
    row, found, evidence = f"{one.label} / {pair.metric} by {pair.grouping}", pair.found, pair.found.evidence
    x = one.column(pair.metric)
    large = {trend.name for trend in found.groups}
    y = [value if label in large else None for value, label in zip(one.y, labels, strict=True)]
    values: dict[str, float | None] = {
        "pooled slope": found.pooled.slope,
        "within slope": found.within.slope,
        "adjusted p": pair.adjusted,
        "p": found.p,
        "smallest slope told": found.detectable,
        "more models": None if found.more is None else float(found.more),
        "pooled tau": found.pooled.kendall_tau,
    }
    if evidence is not None:
        values |= {
            "pooled p": evidence.pooled.p,
            "between slope": evidence.between.slope,
            "between p": evidence.between.p,
            "within p": evidence.within.p,
            "chance p": evidence.shuffled_p,
            "slope without one group, low": evidence.lowest,
            "slope without one group, high": evidence.highest,
            "interaction p": None if found.interaction is None else found.interaction.p,
        }
    random = mixed(x, y, labels)
    values["mixed slope"] = random.slope
    if held:
        partial, adjusted_mixed = robust_slope(x, y, labels, [*held.values()]), mixed(x, y, labels, [*held.values()])
        values |= {"partial slope": partial.slope, "partial p": partial.p, "partial mixed slope": adjusted_mixed.slope}
    verdict = pair.verdict()
    reason = f"{found.reason}; the same groups as {pair.same_as}, counted once" if pair.same_as else found.reason
    return [
        Cell("SIMPSON", row, column, value, found.pooled.n, verdict=verdict, reason=reason)
        for column, value in values.items()
    ]


def _groups(searched: Searched, pair: Candidate) -> list[Cell]:
    one, labels, made = searched.population, searched.groupings[pair.grouping], []
    x = one.column(pair.metric)
    words = {1: "rises", -1: "falls", 0: "not told"}
    for trend in pair.found.groups:
        row = f"{one.label} / {pair.metric} by {pair.grouping} / {trend.name}"
        verdict = words[trend.told.sign]
        for word, name in STATISTICS.items():
            value = getattr(trend.line, name)
            made.append(
                Cell("SIMPSON_GROUPS", row, word, value, trend.line.n, verdict=verdict, reason=trend.line.reason)
            )
        members = [i for i, label in enumerate(labels) if label == trend.name]
        normal = residual_normality([x[i] for i in members], [one.y[i] for i in members])
        made.append(Cell("SIMPSON_GROUPS", row, NORMALITY, normal.p, normal.n, verdict=verdict, reason=normal.reason))
        why = trend.line.reason
        made.append(Cell("SIMPSON_GROUPS", row, "p, Holm", trend.told.p, trend.line.n, verdict=verdict, reason=why))
    return made


def _by_series(one: Population) -> dict[str, list[int]]:
    """Positions of all models, and of those of each series."""
    groups: dict[str, list[int]] = {"POOLED": list(range(len(one.rows)))}
    for i, label in enumerate(one.labels("series")):
        groups.setdefault(str(label), []).append(i)
    return groups


def _lines(one: Population, options: Options) -> list[Cell]:
    """Full statistics of every metric, by series and pooled."""
    made: list[Cell] = []
    for group, members in _by_series(one).items():
        for metric, column in metrics(one, options.metrics).items():
            points = [Point("", {"x": column[i]}, one.y[i], one.rows[i].get("basis"), one.family(i)) for i in members]
            row = f"{one.label} / {group} / {metric}"
            usable = sum(point.x["x"] is not None for point in points)
            if usable < options.smallest:
                why = f"{usable} models, at least {options.smallest} are needed"
                made.append(Cell("LINES", row, "slope", None, usable, verdict="too few models", reason=why))
                continue
            made += cells("LINES", row, "", points, "x", options.smallest)
            made += _robust(row, [column[i] for i in members], [one.y[i] for i in members], options)
    return made


def _robust(row: str, x: Sequence[float | None], y: Sequence[float | None], options: Options) -> list[Cell]:
    other, each = theil_sen(x, y), influence(x, y)
    drawn = slope_interval(x, y, count=options.replicates, seed=options.seed)
    verdict = "hangs on one model" if each.turns else None
    return [
        Cell("LINES", row, "Theil-Sen slope", other.slope, other.n, reason=other.reason),
        Cell("LINES", row, "slope without one, low", each.low, each.n, verdict=verdict, reason=each.reason),
        Cell("LINES", row, "slope without one, high", each.high, each.n, verdict=verdict, reason=each.reason),
        Cell("LINES", row, "bootstrap low", drawn.low, drawn.n, reason=drawn.reason),
        Cell("LINES", row, "bootstrap high", drawn.high, drawn.n, reason=drawn.reason),
    ]


def _shares(one: Population, options: Options) -> list[Cell]:
    """Scale (mean log_spectral_norm) against shape (mean alpha), pooled and by series."""
    scale, shape = one.column("log_spectral_norm"), one.column("alpha")
    made = []
    for target, values in (("alpha_weighted", one.column("alpha_weighted")), ("reported", list(one.y))):
        for group, members in _by_series(one).items():
            a, b, c = ([side[i] for i in members] for side in (values, scale, shape))
            found = scale_and_shape(a, b, c, options.smallest)
            row = f"{one.label} / {group} / {target}"
            for word in ("r2", "scale", "shape", "scale_alone", "shape_alone"):
                made.append(Cell("SCALE_SHAPE", row, word, getattr(found, word), found.n, reason=found.reason))
    return made


STUDY = Study(Options, run, ("averages", "reported", "catalog", "kin"))
