"""How rankings of models move between conventions: Kendall's tau-b of every two profiles, by metric.

CONVENTION has all models of both profiles: tau with its 95 % interval, pairs of models that change places, the largest
move in ranks, and tau over pairs of one series; CONVENTION_SERIES each series that is large enough. A model that stands
twice under two names counts once. Not covered: which convention is right; whether a ranking follows quality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy import stats

from zoospectra.analysis.statistics.rank_agreement import Agreement, rank_agreement
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among, at_least, number
from zoospectra.analysis.studies.target import second_names

METRICS = ("alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm", "D")
"""Averages that are ranked unless the options name others."""
NO_SERIES = "no series"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    profiles: list[str] = field(default_factory=list)
    """Profiles to compare; empty means every one of the warehouse."""
    metrics: list[str] = field(default_factory=list)
    """Averages to rank by; empty means METRICS."""
    smallest: int = 4
    """Models that a ranking needs."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        at_least("smallest", self.smallest, 3)


def run(designs: Designs, options: Options) -> Findings:
    """Compare every two profiles that share models.

    Raises ValueError for a profile or a metric that is not there, naming those that are.
    """
    rows = designs["averages"]
    there = sorted({str(row["profile"]) for row in rows})
    among("profiles", options.profiles, there)
    among("metrics", options.metrics, sorted({name for row in rows for name, v in row.items() if isinstance(v, float)}))
    firsts = {row["model_id"]: row["double_of"] for row in designs["catalog"] if row.get("double_of")}
    profiles = {
        name: {row["model_id"]: row for row in rows if row["profile"] == name} for name in options.profiles or there
    }
    found: list[Cell] = []
    notes: list[str] = []
    why: dict[str, str] = {}
    for a, b in combinations(profiles, 2):
        both_have = [model for model in profiles[a] if model in profiles[b]]
        seconds = second_names(both_have, firsts)
        shared = [model for model in both_have if model not in seconds]
        why |= seconds
        if len(shared) < options.smallest:
            notes.append(f"{a} / {b}: {len(shared)} models in both, at least {options.smallest} are needed")
            continue
        for metric in options.metrics or METRICS:
            both = [(profiles[a][model], profiles[b][model]) for model in shared]
            found += _pair(f"{a} / {b}", metric, both, options.smallest, notes)
    if len(profiles) < 2:
        notes.append(f"{len(profiles)} profiles: refit the warehouse under another, zoospectra refit profiles=NAME")
    design = [
        {name: row[name] for name in ("model_id", "profile")} | {"excluded_by": why.get(row["model_id"])}
        for row in rows
    ]
    return Findings(tuple(found), tuple(design), tuple(notes))


def _pair(pair: str, metric: str, both: Sequence[tuple[Row, Row]], smallest: int, notes: list[str]) -> Iterator[Cell]:
    """Cells of one metric under two profiles."""
    known = [(a, b) for a, b in both if number(a, metric) is not None and number(b, metric) is not None]
    row = f"{pair} / {metric}"
    if len(known) < smallest:
        why = f"{len(known)} models have it under both, at least {smallest} are needed"
        yield Cell("CONVENTION", row, "tau", None, len(known), verdict="too few models", reason=why)
        return
    x, y = ([float(side[metric]) for side in sides] for sides in zip(*known, strict=True))
    series = [str(a["series"] or NO_SERIES) for a, _ in known]
    whole = rank_agreement(x, y)
    yield from _cells("CONVENTION", row, "", whole)
    moves = np.abs(stats.rankdata(x) - stats.rankdata(y))
    farthest = int(np.argmax(moves))
    yield Cell("CONVENTION", row, "largest move", float(moves[farthest]), len(known))
    yield from _cells("CONVENTION", row, " within series", rank_agreement(x, y, series))
    for name in sorted(set(series)):
        members = [i for i, label in enumerate(series) if label == name]
        if len(members) >= smallest and len(members) < len(known):
            inside = rank_agreement([x[i] for i in members], [y[i] for i in members])
            yield from _cells("CONVENTION_SERIES", f"{pair} / {name} / {metric}", "", inside)
    if whole.tau is not None:
        mine, _ = known[farthest]
        most = (
            f"; {mine['model_id']} moves most, by {moves[farthest]:g} of {len(known)} ranks" if moves[farthest] else ""
        )
        notes.append(f"{row}: tau {whole.tau:.3f} over {whole.n} models, {whole.swapped} pairs change places{most}")


def _cells(table_id: str, row: str, end: str, found: Agreement) -> Iterator[Cell]:
    for column, value in (
        ("tau", found.tau),
        ("tau low", found.low),
        ("tau high", found.high),
        ("pairs swapped", found.swapped),
    ):
        why = found.reason if value is None else None
        yield Cell(table_id, row, column + end, None if value is None else float(value), found.n, reason=why)


STUDY = Study(Options, run, ("averages", "catalog"))
