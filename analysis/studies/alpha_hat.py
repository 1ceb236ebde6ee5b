"""alpha-hat against the log alpha-norm that it approximates, and its variants against quality.

alpha-hat = alpha log10 lam_max, and log10 sum lam^alpha = alpha-hat + log10 sum (lam / lam_max)^alpha: the gap of the
equation lies between 0 and log10 K, and closes as alpha grows. ALPHA_HAT_GAP has it by range of alpha; ALPHA_HAT lines
of the reported number on alpha-hat as a mean (the papers), as a sum over layers, on the log alpha-norm, and on log
|X|_alpha without the exponent, (1 / alpha) log10 sum lam^alpha, by series and pooled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from zoospectra.analysis.studies.lines import Point, grouped
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import Population, populations
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among
from zoospectra.analysis.studies.target import mixed_units, unnamed

VARIANTS = {
    "alpha_hat": "alpha-hat",
    "alpha_hat_sum": "alpha-hat as a sum",
    "log_alpha_norm": "log alpha-norm",
    "log_alpha_norm_without_exponent": "log |X|_alpha",
    "log_spectral_norm": "log spectral norm",
}
"""Column of the design table -> what cells call it."""


@dataclass(frozen=True, slots=True)
class Options(PopulationOptions):
    """Options of the study."""

    edges: list[float] = field(default_factory=lambda: [2.0, 4.0, 6.0])
    """Bounds between the ranges of alpha, ascending."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        PopulationOptions.__post_init__(self)
        if not self.edges or not all(map(math.isfinite, self.edges)) or sorted(set(self.edges)) != self.edges:
            msg = f"edges={self.edges}: expected ascending bounds between ranges of alpha, such as [2,4,6]"
            raise ValueError(msg)


def run(designs: Designs, options: Options) -> Findings:
    """The gap on every layer, and lines on every population that has a reported number."""
    layers = designs["layers"]
    if options.profile is not None:
        among("profile", [options.profile], sorted({row["profile"] for row in designs["averages"]}))
        layers = [row for row in layers if row["profile"] == options.profile]
    found = list(_gaps(layers, options.edges))
    notes = _sentences(layers)
    if designs["averages"]:
        people = populations(designs, options)
        for population in people:
            found += grouped("ALPHA_HAT", _groups(population), VARIANTS, smallest=options.smallest)
        design = [row for population in people for row in population.design()]
        notes += [] if people else ["no model has a reported metric: no lines"]
        notes += unnamed(designs["reported"], options.datasets)
        notes += mixed_units(one.target for one in people)
        return Findings(tuple(found), tuple(design), tuple(notes))
    return Findings(tuple(found), notes=("no layer with a fit",))


def _gaps(layers: Sequence[Row], edges: Sequence[float]) -> Iterator[Cell]:
    """Log alpha-norm minus alpha-hat by range of alpha: median, spread, largest, and its share of the bound log10 K."""
    names = [f"alpha < {edges[0]:g}", *(f"{a:g} <= alpha < {b:g}" for a, b in pairwise(edges))]
    names.append(f"alpha >= {edges[-1]:g}")
    for profile in dict.fromkeys(row["profile"] for row in layers):
        rows = [row for row in layers if row["profile"] == profile]
        where = np.searchsorted(edges, [row["alpha"] for row in rows], side="right")
        for i, name in enumerate(names):
            members = [row for row, place in zip(rows, where, strict=True) if place == i]
            label = f"{profile} / {name}"
            if not members:
                yield Cell("ALPHA_HAT_GAP", label, "median gap", None, 0, reason="no layer in this range")
                continue
            gap = np.array([row["log_alpha_norm"] - row["alpha_weighted"] for row in members])
            shares = [
                g / np.log10(row["num_evals"])
                for g, row in zip(gap, members, strict=True)
                if row["num_evals"] is not None and row["num_evals"] > 1
            ]
            low, middle, high = np.quantile(gap, [0.1, 0.5, 0.9])
            for column, value in (
                ("median gap", middle),
                ("gap, 10 %", low),
                ("gap, 90 %", high),
                ("largest gap", gap.max()),
            ):
                yield Cell("ALPHA_HAT_GAP", label, column, float(value), len(members))
            share = float(np.median(shares)) if shares else None
            why = None if shares else "no layer says how many eigenvalues it has"
            yield Cell("ALPHA_HAT_GAP", label, "median share of log10 K", share, len(shares), reason=why)


def _sentences(layers: Sequence[Row]) -> list[str]:
    notes = []
    for profile in dict.fromkeys(row["profile"] for row in layers):
        gaps = [row["log_alpha_norm"] - row["alpha_weighted"] for row in layers if row["profile"] == profile]
        notes.append(f"{profile}: log alpha-norm minus alpha-hat: median {np.median(gaps):.3g} over {len(gaps)} layers")
    return notes


def _groups(population: Population) -> dict[str, list[Point]]:
    """Points by series, and all of them."""
    groups: dict[str, list[Point]] = {}
    pooled = []
    for i, (row, y) in enumerate(zip(population.rows, population.y, strict=True)):
        point = Point(row["model_id"], {name: row[name] for name in VARIANTS}, y, row["basis"], population.family(i))
        groups.setdefault(f"{population.label} / {row['series'] or 'no series'}", []).append(point)
        pooled.append(point)
    return groups | {f"{population.label} / POOLED": pooled}


STUDY = Study(Options, run, ("reported", "catalog", "kin"))
