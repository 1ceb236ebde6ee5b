"""Paired timing: contenders take turns in one run, A B A B, so that a noisy machine troubles all of them alike.

Not covered: start-up (callers warm up first) and memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work."""

    name: str
    """How the table calls it."""
    run: Callable[[], Sequence[float]]
    """Does it once, and returns its numbers, in the same order as the others."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one contender needed for one case."""

    suite: str
    """'kernels', 'fits' or 'layers'."""
    case: str
    """What was done."""
    contender: str
    """By whom."""
    seconds: float
    """Median time, seconds."""
    ratio: float
    """Median over the rounds of its time by the first contender's of the same round."""
    ratio_least: float
    """Smallest such ratio."""
    ratio_most: float
    """Largest such ratio."""
    difference: float | None
    """Largest relative difference of its numbers from the first contender's; None when their count differs."""
    rounds: int
    """Rounds."""


def compare(suite: str, case: str, contenders: Sequence[Contender], rounds: int, budget: float) -> list[Row]:
    """Rows of all contenders, the first being what the others are compared with.

    Stops after `rounds` rounds, or after the first that ends beyond `budget` seconds. ValueError without a round.
    """
    if rounds < 1 or not contenders:
        msg = f"{suite}, {case}: expected at least one round and one contender, got {rounds} and {len(contenders)}"
        raise ValueError(msg)
    times: list[list[float]] = [[] for _ in contenders]
    numbers: list[Sequence[float]] = [()] * len(contenders)
    begun = time.perf_counter()
    for _ in range(rounds):
        for position, contender in enumerate(contenders):
            start = time.perf_counter()
            numbers[position] = contender.run()
            times[position].append(time.perf_counter() - start)
        if time.perf_counter() - begun > budget:
            break
    rows = []
    for contender, seconds, answer in zip(contenders, times, numbers, strict=True):
        ratios = [second / first for second, first in zip(seconds, times[0], strict=True)]
        rows.append(
            Row(
                suite=suite,
                case=case,
                contender=contender.name,
                seconds=median(seconds),
                ratio=median(ratios),
                ratio_least=min(ratios),
                ratio_most=max(ratios),
                difference=difference(numbers[0], answer),
                rounds=len(seconds),
            )
        )
    return rows


def difference(first: Sequence[float], other: Sequence[float]) -> float | None:
    """Largest |a - b| / |a|, 0 for nothing at all; None where the counts differ."""
    if len(first) != len(other):
        return None
    return max((abs(a - b) / (abs(a) or 1.0) for a, b in zip(first, other, strict=True)), default=0.0)
