"""Several runs from one line, as Hydra's `-m`: every combination of the values that commas separate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

FLAGS = ("-m", "--multirun")
"""Words that ask for it."""
VERBS = ("scan", "study")
"""Verbs that can run several times in one warehouse."""


def sweep(words: Sequence[str]) -> list[list[str]]:
    """Words of every run, the last key changing fastest; a list is one value in brackets: models=[a,b].

    A line without a flag is one run.
    """
    if not set(FLAGS) & set(words):
        return [list(words)]
    return [list(combination) for combination in product(*(_choices(word) for word in words if word not in FLAGS))]


def _choices(word: str) -> list[str]:
    """The words that one stands for."""
    key, equals, value = word.partition("=")
    if not equals or any(mark in value for mark in "[{('\""):
        return [word]
    return [f"{key}={single.strip()}" for single in value.split(",") if single.strip()] or [word]
