"""What a treatment does to each metric inside families of networks, against what the seed alone does.

Families are groups of the catalog (series). Networks that differ in nothing but the seed (members of one ensemble) give
the null: the spread that a metric has without a reason. SEEDS has a row a metric: that spread, the spread between
families, the slope by the treatment inside families with its permutation test, and how far the treatment moves it in
units of the seeds' spread. SEEDS_FAMILIES has the slope of every treated family, SEEDS_QUALITY how many pairs of
networks with one number reported on one data set the metric puts in the right order. Assumes that seeds move a metric
in treated families as far as in those whose seeds are known. Not covered: lines through reported numbers, see
studies.batch and studies.simpson.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from zoospectra.analysis.statistics import permutation, within
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.sample import Sample, sample
from zoospectra.analysis.studies.lines import Point, adjusted, cells
from zoospectra.analysis.studies.population import METRICS
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among, at_least, iso_date, number
from zoospectra.analysis.studies.target import UNNAMED, second_names, unnamed

LEVEL = 0.05
"""Of every verdict."""
LEVELS = 3
"""Levels of the treatment that a family needs."""
SHUFFLES = 9999
"""Orders drawn by the permutation test."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    profile: str | None = None
    """Profile; None means every one of the warehouse."""
    family: str = "series"
    """Column of the catalog: networks of one value are one family."""
    treatment: str = "noise"
    """Column of numbers that differs inside treated families."""
    member: str = "seed"
    """Column that tells networks apart which differ in nothing else."""
    source_date: str | None = None
    """Reported numbers as of this date, ISO; None means the newest."""
    metrics: list[str] = field(default_factory=list)
    """Averages to look at; empty means the papers' six."""
    seed: int = 0
    """Of the permutation tests."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        iso_date("source_date", self.source_date)
        at_least("seed", self.seed, 0)


KEYS = ("family", "treatment", "member")
"""Options that name a column of the catalog; rows have its values under these names, so that none hides a metric."""
DEFAULT = Options()
"""A zoo without these columns has nothing to compare, which is no mistake."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Pooled spread inside groups."""

    groups: int
    """Groups of at least two."""
    freedom: int
    """Members minus groups."""
    sd: float | None
    """Standard deviation, unit of the metric; None without freedom."""


def spread(values: Sequence[float], groups: Sequence[str]) -> Spread:
    """Root of the pooled variance inside groups (ddof 1 each)."""
    found: dict[str, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        found.setdefault(group, []).append(value)
    several = [np.array(one) for one in found.values() if len(one) > 1]
    freedom = sum(len(one) - 1 for one in several)
    squares = sum(float(((one - one.mean()) ** 2).sum()) for one in several)
    return Spread(len(several), freedom, (squares / freedom) ** 0.5 if freedom else None)


def run(designs: Designs, options: Options) -> Findings:
    """Seeds, treatment and quality of every profile and metric.

    Raises ValueError for a profile, column or metric that is not there, and for a treatment that is no number.
    """
    catalog = {row["model_id"]: row for row in designs["catalog"]}
    firsts = {row["model_id"]: row["double_of"] for row in designs["catalog"] if row.get("double_of") is not None}
    columns = {name for row in designs["catalog"] for name in row}
    profiles = sorted({row["profile"] for row in designs["averages"]})
    among("profile", [] if options.profile is None else [options.profile], profiles)
    for key in KEYS:
        chosen = getattr(options, key)
        among(key, [] if chosen == getattr(DEFAULT, key) else [chosen], sorted(columns))
    treatments = [row.get(options.treatment) for row in designs["catalog"]]
    if any(isinstance(one, str) for one in treatments):
        msg = f"treatment={options.treatment}: expected a column of numbers"
        raise ValueError(msg)
    numbers = {name for row in designs["averages"] for name, value in row.items() if isinstance(value, float)}
    among("metrics", options.metrics, sorted(numbers))
    made: list[Cell] = []
    notes: list[str] = []
    used: list[Row] = []
    for profile in profiles if options.profile is None else [options.profile]:
        mine = {row["model_id"]: row for row in designs["averages"] if row["profile"] == profile}
        seconds = second_names((model for model in mine if model in catalog), firsts)
        rows = [
            {**row, **{key: catalog[m].get(getattr(options, key)) for key in KEYS}}
            for m, row in mine.items()
            if m in catalog and m not in seconds
        ]
        used += [{"profile": profile, "model_id": m, "excluded_by": seconds.get(m)} for m in mine if m in catalog]
        made += _profile(profile, rows, designs["reported"], options, notes)
    notes += unnamed(designs["reported"])
    return Findings(tuple(adjusted(made)), tuple(used), tuple(notes))


def _profile(
    profile: str, rows: Sequence[Row], reported: Sequence[Row], options: Options, notes: list[str]
) -> list[Cell]:
    found = {metric: _metric(metric, rows, options) for metric in options.metrics or METRICS}
    adjusted = benjamini_hochberg([one["p, permutation"][0] for one in found.values()])
    made: list[Cell] = []
    for (metric, values), q in zip(found.items(), adjusted, strict=True):
        row, n = f"{profile} / {metric}", int(values["treated"][0] or 0)
        values["p, permutation, adjusted"] = (q, values["p, permutation"][1])
        verdict = _verdict(values)
        notes.append(f"{row}: {verdict}")
        for column, (value, reason) in values.items():
            made.append(Cell("SEEDS", row, column, value, n, verdict=verdict, reason=reason))
        made += _families(row, metric, rows, options)
        made += _quality(row, metric, rows, reported)
    return made


def _treated(metric: str, rows: Sequence[Row], options: Options) -> Sample:
    """Networks of families with enough levels of the treatment: x the treatment, y the metric."""
    known = [row for row in rows if None not in (row.get("family"), number(row, metric))]
    known = [row for row in known if isinstance(row.get("treatment"), int | float)]
    levels: dict[object, set[float]] = {}
    for row in known:
        levels.setdefault(row["family"], set()).add(float(row["treatment"]))
    kept = [row for row in known if len(levels[row["family"]]) >= LEVELS]
    return sample(
        [float(row["treatment"]) for row in kept],
        [number(row, metric) for row in kept],
        [row["family"] for row in kept],
    )


def _metric(metric: str, rows: Sequence[Row], options: Options) -> dict[str, tuple[float | None, str | None]]:
    """Values of one metric with the reason where there is none."""
    members = [row for row in rows if row.get("member") is not None and number(row, metric) is not None]
    members = [row for row in members if row.get("family") is not None]
    null = spread([float(row[metric]) for row in members], [str(row["family"]) for row in members])
    families: dict[str, list[float]] = {}
    for row in rows:
        value = number(row, metric)
        if value is not None and row.get("family") is not None:
            families.setdefault(str(row["family"]), []).append(value)
    means = [float(np.mean(one)) for one in families.values()]
    apart = float(np.std(means, ddof=1)) if len(means) > 1 else None
    found = _treated(metric, rows, options)
    line, chance = within.of_sample(found), permutation.of_sample(found, SHUFFLES, options.seed)
    moved = spread(found.y.tolist(), [str(found.names[i]) for i in found.group])
    no_seeds = None if null.sd else f"no family with two values of {options.member}"
    no_treatment = None if found.n else f"no family with {LEVELS} values of {options.treatment}"
    widths = [np.ptp(found.x[found.group == i]) for i in range(len(found.names))]
    change = None if line.slope is None else line.slope * float(np.mean(widths))
    ratio = moved.sd / null.sd if moved.sd is not None and null.sd else None
    p = None if ratio is None else float(special.fdtrc(moved.freedom, null.freedom, ratio**2))
    why = no_seeds or no_treatment
    return {
        "families of seeds": (float(null.groups), None),
        "sd between seeds": (null.sd, no_seeds),
        "sd between families": (apart, None if apart is not None else "fewer than two families"),
        "treated": (float(found.n), None),
        "slope": (line.slope, no_treatment or line.reason),
        "p, permutation": (chance.p, no_treatment or chance.reason),
        "change over the levels": (change, no_treatment or line.reason),
        "change in sd of seeds": (change / null.sd if change is not None and null.sd else None, why or line.reason),
        "sd over the levels / sd between seeds": (ratio, why),
        "p, more than seeds": (p, why),
    }


def _verdict(values: Mapping[str, tuple[float | None, str | None]]) -> str:
    """Both tests at 5 %: a direction by permutation (adjusted over metrics), an amount by the F-test against seeds."""
    direction, amount = values["p, permutation, adjusted"][0], values["p, more than seeds"][0]
    if direction is None or amount is None:
        return "nothing to compare"
    if direction <= LEVEL:
        return "moves one way, more than seeds" if amount <= LEVEL else "moves one way, no more than seeds"
    return "moves more than seeds, no one way" if amount <= LEVEL else "no more than seeds"


def _families(row: str, metric: str, rows: Sequence[Row], options: Options) -> list[Cell]:
    found = _treated(metric, rows, options)
    made: list[Cell] = []
    for i, name in enumerate(found.names):
        mine = found.group == i
        points = [Point("", {"x": x}, y) for x, y in zip(found.x[mine].tolist(), found.y[mine].tolist(), strict=True)]
        made += cells("SEEDS_FAMILIES", f"{row} / {name}", "", points, "x", LEVELS)
    return made


def _quality(row: str, metric: str, rows: Sequence[Row], reported: Sequence[Row]) -> list[Cell]:
    """Pairs of one data set and reported metric: in how many the better network has the smaller value."""
    known = {one["model_id"]: number(one, metric) for one in rows}
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in reported:
        value = known.get(one["model_id"])
        if value is not None and one["dataset"] not in (None, *UNNAMED):
            better = float(one["value"]) if one["higher_is_better"] else -float(one["value"])
            groups.setdefault((str(one["dataset"]), one["metric"]), []).append((value, better))
    made = []
    for (dataset, name), points in sorted(groups.items()):
        x, y = np.array(points).T
        orders = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)  # of every pair twice
        for word, hits in (("pairs", orders), ("smaller is better", orders < 0)):
            count = np.count_nonzero(hits) // 2
            made.append(Cell("SEEDS_QUALITY", f"{row} / {dataset} / {name}", word, float(count), len(points)))
    return made


STUDY = Study(Options, run, ("averages", "reported", "catalog"))
