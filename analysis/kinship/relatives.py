"""Relatives of models in a zoo: candidates, likeness, p-values among all pairs, verdicts, merges, families."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from zoospectra.analysis.kinship.candidates import Index
from zoospectra.analysis.kinship.null import null
from zoospectra.analysis.kinship.pair import LEVEL, Kin, SpectrumOf, compare, verdict
from zoospectra.analysis.kinship.recipe import Recipe, recipe
from zoospectra.analysis.kinship.records import SketchedModel
from zoospectra.analysis.statistics.multiple import benjamini_hochberg

PARENTS = 4
"""Most parents of a merge that are looked for without being named."""

BETTER = 0.05
"""Share of the residual of one parent that is left where there are more."""

LEAST = 0.02
"""Smallest coefficient of a parent."""

ROUNDING = 1e-9
"""Share of a residual that is rounding."""

DERIVED = frozenset({"copy", "permuted copy", "quantised", "fine-tuned", "merged"})
"""Verdicts that make two models kin."""


@dataclass(frozen=True, slots=True)
class Relative:
    """What a model is of another, among all that was tested."""

    kin: Kin
    """Layers and cosines."""
    adjusted: float
    """p-value adjusted for all pairs of the models asked about and the zoo (Benjamini and Hochberg)."""
    verdict: str
    """copy, permuted copy, quantised, fine-tuned, merged, independent, undetermined."""
    evidence: str
    """The layers that say so, or the recipe."""


def relatives(
    models: Sequence[SketchedModel], asked: Collection[str], spectrum: SpectrumOf, seed: int = 0
) -> list[Relative]:
    """Relatives of the models asked about (model_ids), each with its candidates in the zoo, the most alike first.

    `models`: the whole zoo, whose unrelated pairs are the null. A model without candidates has no row.
    """
    index, laws = Index(models), null(models, seed)
    queries = [model for model in models if model.model_id in asked]
    pairs = [compare(model, models[number], laws, spectrum) for model in queries for number in index.candidates(model)]
    untested = len(queries) * max(0, len(models) - 1) - len(pairs)
    adjusted = _adjusted([pair.p_value for pair in pairs], untested)
    rows = [Relative(pair, p, *verdict(pair, p)) for pair, p in zip(pairs, adjusted, strict=True)]
    by_model: dict[str, list[Relative]] = {}
    for row in rows:
        by_model.setdefault(row.kin.model.model_id, []).append(row)
    return [row for own in by_model.values() for row in _with_merges(own)]


def _adjusted(p_values: Sequence[float], untested: int) -> list[float]:
    """Among all pairs: those that no candidate was made of count as tested, with p = 1."""
    values = benjamini_hochberg([*p_values, *([1.0] * untested)])[: len(p_values)]
    return [1.0 if value is None else value for value in values]


def _with_merges(rows: Sequence[Relative]) -> list[Relative]:
    """The rows of one model; where several parents explain it and one does not, these are merged into it."""
    parents = [row for row in rows if row.adjusted < LEVEL and row.verdict in ("fine-tuned", "quantised")]
    mixed = merge(rows[0].kin.model, [row.kin.relative for row in parents]) if len(parents) > 1 else None
    if mixed is None:
        return list(rows)
    of = ", ".join(f"{b:.4f} of {name}" for b, name in zip(mixed.fit.coefficients, mixed.parents, strict=True))
    evidence = f"{mixed.kind}: {of}; R2 {mixed.fit.r2:.6f}"
    bytes_of = [_bytes(row.kin.relative) for row in parents if row.kin.relative.model_id in mixed.parents]
    return [
        Relative(row.kin, row.adjusted, "merged", evidence) if _bytes(row.kin.relative) in bytes_of else row
        for row in rows
    ]


def _bytes(model: SketchedModel) -> frozenset[str]:
    """What tells a model from others, but not from its copies: these are parents too."""
    return frozenset(layer.content_hash for layer in model.layers)


def merge(model: SketchedModel, candidates: Sequence[SketchedModel]) -> Recipe | None:
    """The recipe of several of these parents that leaves at most BETTER of the residual of the best; None without.

    Forward selection of PARENTS (of a mean of four the second one explains little by itself), then whoever is not
    needed goes. All coefficients must be positive: a parent of a merge is itself a difference of the others.
    """
    chosen: list[SketchedModel] = []
    trials: list[Recipe] = []
    for _ in range(min(PARENTS, len(candidates))):
        rest = [other for other in candidates if other not in chosen]
        found = [recipe(model, [*chosen, other]) for other in rest]
        best = max(range(len(rest)), key=lambda i: found[i].fit.r2)
        trials.append(found[best])
        chosen.append(rest[best])
    if len(chosen) < 2:
        return None
    single, mixed = 1.0 - trials[0].fit.r2, trials[-1]
    for parent in list(chosen):  # the first may have been a poor relative of what came later
        rest = [other for other in chosen if other is not parent]
        without = recipe(model, rest) if len(rest) > 1 else None
        if without is not None and 1.0 - without.fit.r2 <= 2.0 * (1.0 - mixed.fit.r2) + ROUNDING:
            mixed, chosen = without, rest
    if 1.0 - mixed.fit.r2 > BETTER * single or min(mixed.fit.coefficients) <= LEAST:
        return None
    return mixed


def families(related: Iterable[tuple[str, str]], models: Sequence[str]) -> dict[str, int]:
    """Number of the family of every model, from 0: the connected sets of derived pairs, in the order of the models."""
    parent = {name: name for name in models}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for a, b in related:
        if a in parent and b in parent:
            parent[root(a)] = root(b)
    numbers: dict[str, int] = {}
    return {name: numbers.setdefault(root(name), len(numbers)) for name in models}
