"""Unfold rules: how a weight tensor becomes matrices. The listing of this folder is the list of rules.

A rule is asked for by name, with options where it has some: 'slices', 'fft(n=16)', 'farms(aspect=1.0,size=128)'. The
spectrum of replica r of a shuffled layer is named '<rule>+shuffled<r>'.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from zoospectra.analysis.unfold import farms, fft, slices, stacked
from zoospectra.analysis.unfold.shape import AnyArray, MatrixShape, Unfold
from zoospectra.analysis.unfold.shuffled import shuffle

RULES: dict[str, Unfold] = {
    "slices": slices.RULE,
    "stacked": stacked.RULE,
    "fft": fft.RULE,
    "farms": farms.RULE,
}
# Rules that take options.
MAKERS: dict[str, Callable[..., Unfold]] = {"fft": fft.rule, "farms": farms.rule}
OPTIONS = re.compile(r"(\w+)\((.*)\)")
SHUFFLED = "+shuffled"


def unfold_rule(name: str) -> Unfold:
    """Look up an unfold rule by name, with its options in parentheses; ValueError lists the known ones."""
    options = OPTIONS.fullmatch(name)
    if options and options[1] in MAKERS:
        try:
            pairs = [pair.partition("=") for pair in options[2].split(",")]
            return MAKERS[options[1]](**{key.strip(): ast.literal_eval(value.strip()) for key, _, value in pairs})
        except (SyntaxError, TypeError, ValueError) as error:
            msg = f"cannot read the options of unfold rule {name!r}: {error}; write them as fft(n=16)"
            raise ValueError(msg) from error
    if name not in RULES:
        msg = f"unknown unfold rule {name!r}; known rules: {', '.join(sorted(RULES))}"
        raise ValueError(msg)
    return RULES[name]


def unfold(array: AnyArray, layer_type: str, rule: str = "slices") -> AnyArray:
    """Matrices (S, N, M), N >= M, of a weight tensor; ValueError for an unknown rule or a shape that it does not
    cover.
    """
    return unfold_rule(rule).unfold(array, layer_type)


def matrices(array: AnyArray, layer_type: str, name: str, seed: int) -> AnyArray:
    """Matrices (S, N, M) that a spectrum's name stands for: a rule's, or a shuffled copy's, seeded by the layer."""
    rule, _, replica = name.partition(SHUFFLED)
    layer_matrices = unfold(array, layer_type, rule)
    return shuffle(layer_matrices, seed, int(replica)) if replica else layer_matrices


__all__ = ["RULES", "SHUFFLED", "MatrixShape", "Unfold", "matrices", "unfold", "unfold_rule"]
