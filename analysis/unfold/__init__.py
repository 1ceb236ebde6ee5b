"""Unfold rules: how a weight tensor becomes matrices. The listing of this folder is the list of rules."""

from __future__ import annotations

from analysis.unfold import farms, fft, slices, stacked
from analysis.unfold.shape import AnyArray, MatrixShape, Unfold

RULES: dict[str, Unfold] = {
    "slices": slices.RULE,
    "stacked": stacked.RULE,
    "fft": fft.RULE,
    "farms": farms.RULE,
}


def unfold_rule(name: str) -> Unfold:
    """Look up an unfold rule by name; ValueError lists the known ones."""
    if name not in RULES:
        msg = f"unknown unfold rule {name!r}; known rules: {', '.join(sorted(RULES))}"
        raise ValueError(msg)
    return RULES[name]


def unfold(array: AnyArray, layer_type: str, rule: str = "slices") -> AnyArray:
    """Matrices (S, N, M), N >= M, of a weight tensor; ValueError for an unknown rule or a shape that it does not
    cover.
    """
    return unfold_rule(rule).unfold(array, layer_type)


__all__ = ["RULES", "MatrixShape", "Unfold", "unfold", "unfold_rule"]
