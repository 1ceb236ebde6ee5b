"""Two models' layers ("the details matter"): how far their alphas lie apart, whole, by role, by type and by depth.

PAIR: medians, their difference (model minus other) with its permutation p, the shift of Hodges and Lehmann with its
95 % interval, Kolmogorov-Smirnov, and the share of outliers, alpha above `largest`, with Fisher's exact p. The verdict
rests on the permutation p adjusted over the rows of a profile (Benjamini and Hochberg). Layers count as exchangeable:
the two models need not share any name. Not covered: which of two matched layers moved (compare, collapse).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np
from scipy import stats

from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.two_samples import two_samples
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among, at_least

LEVEL = 0.05
"""Adjusted p-value below which the medians differ."""
THIRDS = ("first third", "middle third", "last third")
"""Of a model's layers, in the order of its checkpoint."""
P, ADJUSTED = "permutation p", "permutation p, adjusted"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    model: str | None = None
    """Glob of the model_id of one model; None, like `other`, means the only two models of the warehouse."""
    other: str | None = None
    """Glob of the model_id of the model that it is compared with."""
    profile: str | None = None
    """Profile; None means every one of the warehouse."""
    largest: float = 6.0
    """Alpha beyond which a layer is an outlier, WeightWatcher's 'under-trained'."""
    smallest: int = 4
    """Layers that each of the two needs for a comparison."""
    shuffles: int = 9999
    """Divisions that a permutation test draws, where there are more."""
    seed: int = 0
    """Of the permutations."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        at_least("smallest", self.smallest, 4)
        at_least("shuffles", self.shuffles, 99)
        at_least("seed", self.seed, 0)
        if not 0 < self.largest < math.inf:
            msg = f"largest={self.largest}: expected an alpha above 0"
            raise ValueError(msg)
        if (self.model is None) != (self.other is None):
            msg = f"model={self.model}: expected study.model=GLOB and study.other=GLOB, both or neither"
            raise ValueError(msg)


def run(designs: Designs, options: Options) -> Findings:
    """Compare the two models under every profile that both have.

    Raises ValueError when a glob matches no model with a fit, or several, and for a profile that is not there.
    """
    rows = designs["layers"]
    if options.profile is not None:
        among("profile", [options.profile], sorted({row["profile"] for row in rows}))
        rows = [row for row in rows if row["profile"] == options.profile]
    names = sorted({str(row["model_id"]) for row in rows})
    if options.model is None or options.other is None:
        if len(names) != 2:
            note = f"{len(names)} models have layers with a fit: name two of them, study.model=GLOB study.other=GLOB"
            return Findings((), notes=(note,))
        model, other = names
    else:
        model, other = _match(names, options.model, "model"), _match(names, options.other, "other")
        if model == other:
            msg = f"other={options.other}: expected another model than {model}, which model={options.model} matches"
            raise ValueError(msg)
    found: list[Cell] = []
    notes: list[str] = []
    for profile in dict.fromkeys(row["profile"] for row in rows):
        mine, theirs = ([r for r in rows if (r["profile"], r["model_id"]) == (profile, n)] for n in (model, other))
        made = _adjusted(list(_profile(profile, mine, theirs, options)))
        found += made
        notes += _sentences(made, f"{model} minus {other}")
    notes += [f"fewer than {options.smallest} layers with a fit in either model: {_few(found)}"] if _few(found) else []
    design = [
        {key: row[key] for key in ("model_id", "profile", "layer_id", "longname", "alpha")}
        | {"excluded_by": None if row["counted"] else "part of a fused matrix: counts by role only"}
        for row in rows
        if row["model_id"] in (model, other)
    ]
    return Findings(tuple(found), tuple(design), tuple(notes))


def _match(names: Sequence[str], glob: str, word: str) -> str:
    matches = [name for name in names if fnmatchcase(name, glob)]
    if len(matches) != 1:
        some = ", ".join(matches[:5] or names[:5])
        msg = f"{word}={glob}: matches {len(matches)} models with a fit, expected one: {some}"
        raise ValueError(msg)
    return matches[0]


def _profile(profile: str, mine: Sequence[Row], theirs: Sequence[Row], options: Options) -> Iterator[Cell]:
    """Cells of every part of the two models that either has."""
    parts = [_parts(rows) for rows in (mine, theirs)]
    for name in dict.fromkeys([*parts[0], *parts[1]]):
        yield from _compare(f"{profile} / {name}", parts[0].get(name, []), parts[1].get(name, []), options)


def _parts(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Alphas of all layers that count, of each third, of each type and of each role."""
    parts: dict[str, list[float]] = {name: [] for name in ("all layers", *THIRDS)}
    counted = [row for row in rows if row["counted"]]
    for i, row in enumerate(counted):
        for name in ("all layers", THIRDS[3 * i // len(counted)], f"type {row['layer_type'] or 'unknown'}"):
            parts.setdefault(name, []).append(float(row["alpha"]))
    for row in rows:
        if row["group"] is not None:
            parts.setdefault(f"role {row['group']}", []).append(float(row["alpha"]))
    return parts


def _compare(row: str, a: Sequence[float], b: Sequence[float], options: Options) -> Iterator[Cell]:
    """Cells of one part; a part with too few layers has one, that says so."""
    few = min(len(a), len(b)) < options.smallest
    why = f"too few layers: {len(a)} and {len(b)}, at least {options.smallest} are needed of each" if few else None
    yield Cell("PAIR", row, "layers", float(len(a)), len(a), verdict="too few layers" if few else None, reason=why)
    yield Cell("PAIR", row, "layers, other", float(len(b)), len(b))
    if few:
        return
    test = two_samples(a, b, shuffles=options.shuffles, seed=options.seed)
    above = [sum(alpha > options.largest for alpha in side) for side in (a, b)]
    table = [[above[0], len(a) - above[0]], [above[1], len(b) - above[1]]]
    values: Mapping[str, float | None] = {
        "median": float(np.median(a)),
        "median, other": float(np.median(b)),
        "shift of median": test.shift,
        P: test.p,
        "Hodges-Lehmann shift": test.hodges_lehmann,
        "shift low": test.low,
        "shift high": test.high,
        "KS distance": test.ks,
        "KS p": test.ks_p,
        f"share above {options.largest:g}": above[0] / len(a),
        f"share above {options.largest:g}, other": above[1] / len(b),
        "share p": float(stats.fisher_exact(table).pvalue),
    }
    for column, value in values.items():
        none = None if value is not None else "so few layers have no 95 % interval"
        yield Cell("PAIR", row, column, value, len(a) + len(b), reason=none)


def _adjusted(cells: list[Cell]) -> list[Cell]:
    """The cells with the adjusted p beside each permutation p, and the verdict it gives at the shift."""
    tested = [cell for cell in cells if cell.column == P]
    levels = dict(zip((cell.row for cell in tested), benjamini_hochberg([c.value for c in tested]), strict=True))
    found = []
    for cell in cells:
        level = levels.get(cell.row)
        if cell.column == "shift of median" and level is not None:
            higher = cell.value is not None and cell.value > 0
            verdict = "undetermined" if level >= LEVEL else "higher" if higher else "lower"
            found.append(replace(cell, verdict=verdict))
        else:
            found.append(cell)
        if cell.column == P:
            found.append(replace(cell, column=ADJUSTED, value=level))
    return found


def _sentences(cells: Sequence[Cell], pair: str) -> list[str]:
    """One a part that could be compared."""
    p = {cell.row: cell.value for cell in cells if cell.column == ADJUSTED}
    return [
        f"{cell.row}: median alpha {cell.verdict}, {cell.value:+.3f} ({pair}; adjusted p {p[cell.row]:.2g})"
        for cell in cells
        if cell.column == "shift of median"
    ]


def _few(cells: Sequence[Cell]) -> str:
    return ", ".join(cell.row for cell in cells if cell.verdict == "too few layers")


STUDY = Study(Options, run)
