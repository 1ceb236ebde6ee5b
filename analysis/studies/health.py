"""Is one checkpoint healthy? What a practitioner should look at, judged against its kind in the whole warehouse.

HEALTH has a row a check: layers that it flags, of those it looks at, and its base rate, the share of all models of the
warehouse in which it flags something; HEALTH_LAYERS every flagged layer; HEALTH_CHECKS whether the check's flags go
with the reported numbers. A layer is flagged beyond the literature's threshold, or beyond what is usual for its kind
(layer type and receptive field) where the warehouse has enough of them, whichever is farther. A check that flags most
models says nothing about this one, and says so. Thresholds are advice, not tests. Not covered: accuracy, data,
activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase

import numpy as np
from scipy import stats

from zoospectra.analysis.statistics.multiple import holm
from zoospectra.analysis.studies.collapse import FEW, robust_z
from zoospectra.analysis.studies.noise import Kind, entry_scale, excess, kind
from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, among, iso_date, number, positive
from zoospectra.analysis.studies.target import Target, targets, unnamed

ENOUGH = 40
"""Layers of a kind from which the warehouse says what is usual; below, only the literature's threshold counts."""
USUAL = 0.99
"""Share of the layers of a kind that are usual: those beyond, on the wrong side, may be flagged."""
COMMON = 0.5
"""Share of the models of a warehouse from which a flag is common and says nothing about one of them."""
FEW_MODELS = 10
"""Models below which there is no base rate and no telling whether flags go with quality."""
SAID = 20
"""Most models that have a sentence each."""
NAMED = 5
"""Models named by check where there are more."""


class Wrong(Enum):
    """Which values of a check's column are wrong."""

    LARGE = auto()
    SMALL = auto()
    FAR_FROM_0 = auto()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    column: str
    """Metric it looks at; 'excess' over noise and 'scale_z' within the model are computed here."""
    threshold: str
    """Name of its threshold in the options."""
    wrong: Wrong
    """Which values are."""
    says: str
    """What a flagged layer may mean."""
    source: str
    """Where the threshold comes from."""


CHECKS: Mapping[str, Check] = {
    "under-trained": Check(
        "alpha", "largest_alpha", Wrong.LARGE,
        "too little correlation for its size: under-trained, over-parameterised, or too little data",
        "WeightWatcher warns above 6; Martin, Peng, Mahoney 2021",
    ),
    "over-trained": Check(
        "alpha", "smallest_alpha", Wrong.SMALL,
        "a very heavy tail: over-trained, memorising, or a few dominating directions",
        "WeightWatcher warns below 2; Martin and Mahoney 2021 (very heavy-tailed universality class)",
    ),
    "poor fit": Check(
        "D", "largest_D", Wrong.LARGE,
        "the tail is no power law: alpha means little here",
        "a rule of thumb of the WeightWatcher documentation",
    ),
    "short tail": Check(
        "num_pl_spikes", "fewest_spikes", Wrong.SMALL,
        "few eigenvalues in the tail: alpha is uncertain, its standard error is (alpha - 1) / sqrt(n)",
        "Clauset, Shalizi, Newman 2009, section 3: estimates from small tails are biased",
    ),
    "rank collapse": Check(
        "stable_rank", "smallest_stable_rank", Wrong.SMALL,
        "one direction carries nearly everything: rank collapse, or a layer that never trained away from it",
        "stable rank near 1 is a matrix of rank one; Martin and Mahoney 2021, phase 'rank-collapse'",
    ),
    "noise": Check(
        "excess", "smallest_excess", Wrong.SMALL,
        "its largest eigenvalue is that of its own shuffled copy: nothing is correlated, as before training",
        "Marchenko-Pastur edge of its entries, or its shuffled copies where the profile has them",
    ),
    "scale": Check(
        "scale_z", "robust_z", Wrong.FAR_FROM_0,
        "its entries are far larger or smaller than those of its kind: scale collapse, a missing normalisation, damage",
        "robust z-score beyond it (Iglewicz and Hoaglin 1993)",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a layer is flagged; the sources stand in CHECKS."""

    largest_alpha: float = 6.0
    """alpha above it: under-trained."""
    smallest_alpha: float = 2.0
    """alpha below it: over-trained."""
    largest_D: float = 0.2
    """Kolmogorov-Smirnov distance above it: a poor fit."""
    fewest_spikes: float = 10
    """Eigenvalues in the tail below it: a short tail."""
    smallest_stable_rank: float = 1.5
    """Stable rank below it: rank collapse."""
    smallest_excess: float = 0.02
    """log10 of the largest eigenvalue over that of noise below it: noise, which scatters round 0 by about 0.02."""
    robust_z: float = 3.5
    """Robust z-score of a layer's root mean square entry among its kind beyond it: scale."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    model: str = "*"
    """Glob of model_id of the models to judge; all of the warehouse are their population."""
    profile: str | None = None
    """Profile; None means every one of the warehouse."""
    source_date: str | None = None
    """Reported numbers as of this date, ISO; None means the newest."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """Where a layer is flagged."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        positive(self.thresholds)
        iso_date("source_date", self.source_date)


@dataclass(frozen=True, slots=True)
class Flag:
    """One flagged layer."""

    row: Row
    """The layer."""
    value: float
    """Value of the check's column."""
    limit: float
    """What it lies beyond."""


Flags = Mapping[str, Mapping[str, Sequence[Flag]]]
"""model_id -> check -> its flags, of one profile; a check that looks at no layer of a model is missing."""


def run(designs: Designs, options: Options) -> Findings:
    """Checks of every model that 'model' matches, by profile; raises ValueError when no layer does."""
    everything = [{**row, "excess": excess(row)} for row in designs["measured"]]
    profiles = sorted({row["profile"] for row in everything})
    among("profile", [] if options.profile is None else [options.profile], profiles)
    asked = {row["model_id"] for row in everything if fnmatchcase(row["model_id"], options.model)}
    if not asked:
        msg = f"model={options.model}: matches no model with layers; expected a glob of a model_id"
        raise ValueError(msg)
    found: list[Cell] = []
    notes: list[str] = []
    for profile in profiles if options.profile is None else [options.profile]:
        models: dict[str, list[Row]] = {}
        for row in everything:
            if row["profile"] == profile:
                models.setdefault(row["model_id"], []).append(row)
        population = {model: _with_scale(rows) for model, rows in models.items()}
        flags = flagged(population, options.thresholds)
        rates = base_rates(flags)
        looked: dict[str, list[str]] = {}
        for model in (name for name in population if name in asked):
            broken = [row for row in designs["skipped"] if row["model_id"] == model]
            cells = _model(f"{profile} / {model}", population[model], flags[model], rates, options)
            cells += [_failed(f"{profile} / {model}", population[model]), _damaged(f"{profile} / {model}", broken)]
            looked[model] = [
                cell.row.rpartition(" / ")[2]
                for cell in cells
                if cell.verdict == "look at it" and cell.column == "layers"
            ]
            found += cells
        notes += _sentences(profile, looked)
        found += _predicts(profile, flags, targets(designs["reported"]), notes)
    notes += unnamed(designs["reported"])
    design = [
        {"model_id": row["model_id"], "longname": row["longname"], "profile": row["profile"], "excluded_by": None}
        for row in everything
        if row["model_id"] in asked and options.profile in (None, row["profile"])
    ]
    return Findings(tuple(found), tuple(design), tuple(notes))


def _sentences(profile: str, looked: Mapping[str, Sequence[str]]) -> list[str]:
    """What to look at (model -> checks), model by model; of many models check by check, some named."""
    if len(looked) <= SAID:
        return [
            f"{profile} / {model}: {'look at ' + ', '.join(checks) if checks else 'nothing to object to'}"
            for model, checks in looked.items()
        ]
    fine = sum(not checks for checks in looked.values())
    said = [f"{profile}: nothing to object to in {fine} of {len(looked)} models"]
    for check in dict.fromkeys(check for checks in looked.values() for check in checks):
        models = [model for model, checks in looked.items() if check in checks]
        more = f" and {len(models) - NAMED} more" if len(models) > NAMED else ""
        said.append(f"{profile}: look at {check} in {len(models)}: {', '.join(models[:NAMED])}{more}")
    return said


def _with_scale(rows: Sequence[Row]) -> list[Row]:
    """The layers of a model with their robust z-scores of scale among their kind in it; None for a kind of few."""
    kinds: dict[Kind, list[Row]] = {}
    for row in rows:
        kinds.setdefault(kind(row), []).append(row)
    made: list[Row] = []
    for members in kinds.values():
        known = [scale for row in members if (scale := entry_scale(row)) is not None]
        scores = iter(robust_z(known) if len(known) >= FEW else [None] * len(known))
        made += [{**row, "scale_z": None if entry_scale(row) is None else next(scores)} for row in members]
    return made


def flagged(population: Mapping[str, Sequence[Row]], thresholds: Thresholds) -> Flags:
    """Flags of every check in every model of a population of one profile."""
    found: dict[str, dict[str, list[Flag]]] = {model: {} for model in population}
    everything = [row for rows in population.values() for row in rows]
    for name, check in CHECKS.items():
        limits = _limits(everything, check, float(getattr(thresholds, check.threshold)))
        for model, rows in population.items():
            looked = [(row, value) for row in rows if (value := number(row, check.column)) is not None]
            if looked:
                found[model][name] = [
                    Flag(row, value, limits[kind(row)])
                    for row, value in looked
                    if _beyond(value, limits[kind(row)], check.wrong)
                ]
    return found


def _beyond(value: float, limit: float, wrong: Wrong) -> bool:
    return value < limit if wrong is Wrong.SMALL else _size(value, wrong) > limit


def _size(value: float, wrong: Wrong) -> float:
    return abs(value) if wrong is Wrong.FAR_FROM_0 else value


def _limits(rows: Sequence[Row], check: Check, literature: float) -> dict[Kind, float]:
    """Kind -> where its layers are flagged: the literature's threshold, or what is usual for the kind if farther.

    Noise is noise, however usual: its threshold stays.
    """
    kinds: dict[Kind, list[float]] = {}
    for row in rows:
        value = number(row, check.column)
        kinds.setdefault(kind(row), []).extend([] if value is None else [_size(value, check.wrong)])
    limits = {}
    for of, values in kinds.items():
        limit = literature
        if len(values) >= ENOUGH and check.column != "excess":
            small = check.wrong is Wrong.SMALL
            usual = float(np.quantile(values, 1 - USUAL if small else USUAL))
            limit = min(limit, usual) if small else max(limit, usual)
        limits[of] = limit
    return limits


def base_rates(flags: Flags) -> dict[str, float | None]:
    """Check -> share of the models it looks at in which it flags a layer; None for too few models."""
    rates: dict[str, float | None] = {}
    for name in CHECKS:
        hits = [bool(by_check[name]) for by_check in flags.values() if name in by_check]
        rates[name] = sum(hits) / len(hits) if len(hits) >= FEW_MODELS else None
    return rates


def _model(
    label: str,
    rows: Sequence[Row],
    flags: Mapping[str, Sequence[Flag]],
    rates: Mapping[str, float | None],
    options: Options,
) -> list[Cell]:
    """Cells of one model: every check with its base rate, and the layers it flags."""
    made: list[Cell] = []
    layers: list[Cell] = []
    for name, check in CHECKS.items():
        looked = sum(number(row, check.column) is not None for row in rows)
        hits, rate = flags.get(name, ()), rates[name]
        common = rate is not None and rate >= COMMON
        verdict = "fine" if not hits else "common" if common else "look at it"
        limit = float(getattr(options.thresholds, check.threshold))
        reason = f"{check.says}; threshold {limit:g} ({check.source}), or what is usual for the kind"
        if common:
            reason = f"flagged in {rate:.0%} of the models here, so it says nothing about this one; {reason}"
        made.append(Cell("HEALTH", f"{label} / {name}", "layers", float(len(hits)), looked, None, verdict, reason))
        why = reason if rate is not None else f"fewer than {FEW_MODELS} models in the warehouse: no base rate"
        made.append(Cell("HEALTH", f"{label} / {name}", "base rate", rate, looked, None, verdict, why))
        for flag in hits:
            place = f"{label} / {flag.row['longname']}"
            why = f"beyond {flag.limit:.3g}: {check.says}"
            layers.append(
                Cell("HEALTH_LAYERS", place, check.column, flag.value, flag.row["num_evals"], None, name, why)
            )
    return [*made, *layers]


def _failed(label: str, rows: Sequence[Row]) -> Cell:
    """Layers without a fit, those that a rule of the profile leaves out aside."""
    failed = [row for row in rows if row["outcome"] == "failed"]
    why = "; ".join(f"{row['longname']}: {row['status']}" for row in failed[:5]) or None
    verdict = "look at it" if failed else "fine"
    return Cell("HEALTH", f"{label} / failed fits", "layers", float(len(failed)), len(rows), None, verdict, why)


def _damaged(label: str, broken: Sequence[Row]) -> Cell:
    """Tensors that could not be read."""
    why = "; ".join(f"{row['tensor'] or 'the whole model'}: {row['reason']}" for row in broken[:5]) or None
    verdict = "look at it" if broken else "fine"
    return Cell("HEALTH", f"{label} / damaged tensors", "layers", float(len(broken)), None, None, verdict, why)


def _predicts(profile: str, flags: Flags, chosen: Sequence[Target], notes: list[str]) -> list[Cell]:
    """HEALTH_CHECKS: whether models that a check flags are worse by what was reported of them (Mann and Whitney 1947).

    p-values are adjusted over the checks of a target after Holm.
    """
    made: list[Cell] = []
    for target in chosen:
        tests: dict[str, tuple[float, float, int]] = {}
        for name in CHECKS:
            there = {m for m, by in flags.items() if name in by and m in target.values}
            known = [(bool(flags[m][name]), target.values[m]) for m in sorted(there - target.seconds(there).keys())]
            hit, other = ([value for is_hit, value in known if is_hit is side] for side in (True, False))
            if len(known) >= FEW_MODELS and hit and other:
                test = stats.mannwhitneyu(hit, other, method="asymptotic")
                worse = 1 - 2 * float(test.statistic) / (len(hit) * len(other))
                tests[name] = (worse if target.higher_is_better else -worse, float(test.pvalue), len(known))
        adjusted = holm([p for _, p, _ in tests.values()])
        for (name, (worse, _, n)), p in zip(tests.items(), adjusted, strict=True):
            told = p is not None and p <= 0.05
            verdict = (
                "goes with quality" if told and worse > 0 else "goes the wrong way" if told else "predicts nothing here"
            )
            row = f"{profile} / {target.label} / {name}"
            made.append(Cell("HEALTH_CHECKS", row, "flagged are worse", worse, n, verdict=verdict))
            made.append(Cell("HEALTH_CHECKS", row, "p, Holm", p, n, verdict=verdict))
        idle = [name for name in tests if not any(
            cell.verdict == "goes with quality" for cell in made if cell.row == f"{profile} / {target.label} / {name}"
        )]  # fmt: skip
        if idle:
            notes.append(f"{profile} / {target.label}: flags that do not go with it here: {', '.join(idle)}")
    return made


STUDY = Study(Options, run, ("measured", "reported"))
