"""Unfold rules: how a weight tensor becomes matrices. The listing of this folder is the list of rules."""

from __future__ import annotations

from analysis.unfold import slices
from analysis.unfold.shape import MatrixShape, Unfold

RULES: dict[str, Unfold] = {
    "slices": slices.RULE,
}


def unfold_rule(name: str) -> Unfold:
    """Look up an unfold rule by name; ValueError lists the known ones."""
    if name not in RULES:
        msg = f"unknown unfold rule {name!r}; known rules: {', '.join(sorted(RULES))}"
        raise ValueError(msg)
    return RULES[name]


__all__ = ["RULES", "MatrixShape", "Unfold", "unfold_rule"]
