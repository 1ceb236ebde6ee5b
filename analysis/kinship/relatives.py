"""Relatives of models in a zoo: candidates, likeness, p-values among all pairs, verdicts, merges, families."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from zoospectra.analysis.kinship.candidates import Index
from zoospectra.analysis.kinship.merges import PARENTS, merge, with_seconds
from zoospectra.analysis.kinship.null import null
from zoospectra.analysis.kinship.pair import EQUAL, LEVEL, Kin, SpectrumOf, compare, verdict
from zoospectra.analysis.kinship.records import SketchedModel
from zoospectra.analysis.statistics.multiple import benjamini_hochberg

PART = 0.3
"""Share of layers that a parent gave whole, and the cosine below which the others are none of its."""

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


Weigh = Callable[[SketchedModel, SketchedModel], Relative]
"""What a model is of another, whatever was tested before."""


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

    def weigh(model: SketchedModel, other: SketchedModel) -> Relative:
        pair = compare(model, other, laws, spectrum)
        p = min(1.0, pair.p_value * max(1, len(queries) * (len(models) - 1)))
        return Relative(pair, p, *verdict(pair, p))

    return [row for own in by_model.values() for row in _with_merges(own, index, weigh)]


def _adjusted(p_values: Sequence[float], untested: int) -> list[float]:
    """Among all pairs: those that no candidate was made of count as tested, with p = 1."""
    values = benjamini_hochberg([*p_values, *([1.0] * untested)])[: len(p_values)]
    return [1.0 if value is None else value for value in values]


def _with_merges(rows: Sequence[Relative], index: Index, weigh: Weigh) -> list[Relative]:
    """The rows of one model; where several parents explain it and one does not, these are merged into it."""
    whole = _taken_whole(rows, weigh)
    if whole:
        return _merged(rows, [row.kin.relative for row in whole], _passthrough(whole), weigh)
    model = rows[0].kin.model
    parents = [row.kin.relative for row in rows if row.adjusted < LEVEL and row.verdict in ("fine-tuned", "quantised")]
    pool = with_seconds(model, parents, index) if parents else []
    mixed = merge(model, pool) if pool else None
    if mixed is None:
        return list(rows)
    of = ", ".join(f"{b:.4f} of {name}" for b, name in zip(mixed.fit.coefficients, mixed.parents, strict=True))
    sources = [other for other in pool if other.model_id in mixed.parents]
    return _merged(rows, sources, f"{mixed.kind}: {of}; R2 {mixed.fit.r2:.6f}", weigh)


def _merged(rows: Sequence[Relative], sources: Sequence[SketchedModel], evidence: str, weigh: Weigh) -> list[Relative]:
    """The rows of one model, with those of its parents, of their copies, and of who has a part of its layers."""
    known = {row.kin.relative.model_id for row in rows}
    more = [weigh(rows[0].kin.model, other) for other in sources if other.model_id not in known]
    values = [_values(source) for source in sources]
    return [
        Relative(row.kin, row.adjusted, "merged", evidence)
        if _values(row.kin.relative) in values or _is_part(row)
        else row
        for row in (*rows, *more)
    ]


def _is_part(row: Relative) -> bool:
    """Whether many layers are the same, and the others are no kin."""
    others = [layer.cosine for layer in row.kin.layers if layer.same not in EQUAL]
    return bool(others) and len(_equal_layers(row)) >= PART * len(row.kin.layers) and median(others) < PART


def _taken_whole(rows: Sequence[Relative], weigh: Weigh) -> list[Relative]:
    """The fewest unrelated models, two or more, whose layers together are all of a model's; [] where there are none.

    Of two that are kin a model may have inherited from one and given to the other.
    """
    missing = {layer.longname for layer in rows[0].kin.model.layers}
    chosen: list[Relative] = []
    while missing and len(chosen) < PARENTS:
        for row in sorted(rows, key=lambda row: -len(_equal_layers(row) & missing)):
            if not _equal_layers(row) & missing:
                return []
            if not any(weigh(row.kin.relative, other.kin.relative).verdict in DERIVED for other in chosen):
                break
        else:
            return []
        missing -= _equal_layers(row)
        chosen.append(row)
    return chosen if not missing and len(chosen) > 1 else []


def _passthrough(whole: Sequence[Relative]) -> str:
    taken = ", ".join(f"{len(_equal_layers(row))} are those of {row.kin.relative.model_id}" for row in whole)
    return f"passthrough: of its {len(whole[0].kin.model.layers)} layers {taken}"


def _equal_layers(row: Relative) -> set[str]:
    return {layer.pair.layer.longname for layer in row.kin.layers if layer.same in EQUAL}


def _values(model: SketchedModel) -> frozenset[bytes]:
    """What tells a model from others, but not from its copies, whatever they are stored as: these are parents too."""
    return frozenset(layer.whole.tobytes() for layer in model.layers)


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
