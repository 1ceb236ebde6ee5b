"""False verdicts and power of the Simpson rule, over seeded populations; docs/statistics.md shows the tables.

    python -m pytest tests/analysis/test_calibration.py -m slow    # a few minutes
    python tests/analysis/test_calibration.py                      # prints the tables for the page

The rules were made while looking at the populations of seeds 0 to 999; those from FRESH on nobody looked at before the
table was printed. The default suite tries 60 of the former.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zoospectra.analysis.simpson import Verdict, simpson

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
Population = tuple[np.ndarray, np.ndarray, np.ndarray]
Make = Callable[[np.random.Generator], Population]
WRONG_OF_NOTHING = frozenset(Verdict) - {Verdict.UNDETERMINED}
"""Nothing is there inside groups: whatever is told is false."""
WRONG_OF_ALIKE = frozenset({Verdict.REVERSAL, Verdict.PARTIAL})
"""All groups fall alike and their means are unrelated: a trend between groups is false."""


def groups(sizes: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def flat(sizes: list[int], noise: Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]) -> Make:
    """Group means on a rising line, nothing inside groups but noise."""

    def make(rng: np.random.Generator) -> Population:
        label = groups(sizes)
        dx = rng.normal(size=len(label))
        return 10 * label + dx, 30 * label + noise(rng, dx, label), label

    return make


def normal(rng: np.random.Generator, dx: np.ndarray, label: np.ndarray) -> np.ndarray:
    return rng.normal(size=len(dx))


def by_group(rng: np.random.Generator, dx: np.ndarray, label: np.ndarray) -> np.ndarray:
    return np.array([0.2, 1.0, 5.0, 20.0])[label % 4] * rng.normal(size=len(dx))


def nothing(rng: np.random.Generator) -> Population:
    return rng.normal(size=30), rng.normal(size=30), groups([6] * 5)


def heavy(rng: np.random.Generator) -> Population:
    label = groups([8] * 5)
    return 10 * label + rng.standard_t(2, 40), 30 * label + rng.standard_t(2, 40), label


def growing(rng: np.random.Generator) -> Population:
    label, dx = groups([10] * 4), rng.standard_t(2, 40)
    return 15 * label + dx, 60 * label + dx**2 * rng.normal(size=40), label


def tied(rng: np.random.Generator) -> Population:
    label = groups([6] * 5)
    return 5.0 * label + rng.integers(-1, 2, 30), np.round(20.0 * label + rng.normal(size=30)), label


def unrelated(sizes: list[int], slope: float) -> Make:
    def make(rng: np.random.Generator) -> Population:
        label = groups(sizes)
        a, b, dx = 3 * rng.normal(size=len(sizes)), 3 * rng.normal(size=len(sizes)), rng.normal(size=len(label))
        return a[label] + dx, b[label] + slope * dx + rng.normal(size=len(label)), label

    return make


def kin(every: bool) -> Make:
    """4 groups of 10 families of 1 to 8 members that share 80 % of metric and noise: every member, or one of each."""

    def make(rng: np.random.Generator) -> Population:
        family = np.repeat(np.arange(40), rng.integers(1, 9, 40))
        shared, own = np.sqrt(0.8) * rng.normal(size=(2, 40)), np.sqrt(0.2) * rng.normal(size=(2, len(family)))
        label, (dx, noise) = family // 10, shared[:, family] + own
        x, y = 10 * label + dx, 30 * label + noise
        kept = np.arange(len(family)) if every else np.unique(family, return_index=True)[1]
        return x[kept], y[kept], label[kept]

    return make


NULLS: dict[str, tuple[Make, frozenset[Verdict]]] = {
    "no effect at all, 5 groups of 6": (nothing, WRONG_OF_NOTHING),
    "no trend inside, 2 groups of 3": (flat([3] * 2, normal), WRONG_OF_NOTHING),
    "no trend inside, 2 groups of 4": (flat([4] * 2, normal), WRONG_OF_NOTHING),
    "no trend inside, 2 groups of 20": (flat([20] * 2, normal), WRONG_OF_NOTHING),
    "no trend inside, 2 groups of 40": (flat([40] * 2, normal), WRONG_OF_NOTHING),
    "no trend inside, 5 groups of 3": (flat([3] * 5, normal), WRONG_OF_NOTHING),
    "no trend inside, 5 groups of 40": (flat([40] * 5, normal), WRONG_OF_NOTHING),
    "no trend inside, 40 groups of 3": (flat([3] * 40, normal), WRONG_OF_NOTHING),
    "no trend inside, 40 groups of 4": (flat([4] * 40, normal), WRONG_OF_NOTHING),
    "no trend inside, 40 groups of 40": (flat([40] * 40, normal), WRONG_OF_NOTHING),
    "no trend inside, groups of 40, 20, 8, 5, 4, 3": (flat([40, 20, 8, 5, 4, 3], normal), WRONG_OF_NOTHING),
    "unequal variances (sd .2 to 20), 4 groups of 10": (flat([10] * 4, by_group), WRONG_OF_NOTHING),
    "unequal variances (sd .2 to 20), 4 groups of 5": (flat([5] * 4, by_group), WRONG_OF_NOTHING),
    "noise that grows with x^2, t2 metric, 4 groups of 10": (growing, WRONG_OF_NOTHING),
    "t2 metric and t2 noise, 5 groups of 8": (heavy, WRONG_OF_NOTHING),
    "ties in both, 5 groups of 6": (tied, WRONG_OF_NOTHING),
    "kin, one model of each family, 4 groups of 10 families": (kin(every=False), WRONG_OF_NOTHING),
    "unrelated group means, nothing inside, 5 groups of 6": (unrelated([6] * 5, 0.0), WRONG_OF_NOTHING),
    "unrelated group means, slope inside, 2 groups of 20": (unrelated([20] * 2, -1.5), WRONG_OF_ALIKE),
    "unrelated group means, slope inside, 3 groups of 10": (unrelated([10] * 3, -1.5), WRONG_OF_ALIKE),
    "unrelated group means, slope inside, 4 groups of 20": (unrelated([20] * 4, -1.5), WRONG_OF_ALIKE),
    "unrelated group means, slope inside, 6 groups of 10": (unrelated([10] * 6, -1.5), WRONG_OF_ALIKE),
    "unrelated group means, slope inside, 40 groups of 4": (unrelated([4] * 40, -1.5), WRONG_OF_ALIKE),
}
"""Null -> the population, and the verdicts that are false of it."""
EVERY_KIN = "kin, every member counted, the same families"
"""What the default does on them: no null that it holds 5 % in, so that it stands apart."""
SMALLEST = 3
TRIALS = 1000
FRESH = 730_000
"""First seed of the populations that no rule was made with."""
HEAVY = frozenset(
    {
        "no trend inside, 2 groups of 40",
        "no trend inside, 5 groups of 40",
        "no trend inside, 40 groups of 3",
        "no trend inside, 40 groups of 40",
        "unrelated group means, slope inside, 4 groups of 20",
        "unrelated group means, slope inside, 40 groups of 4",
        "noise that grows with x^2, t2 metric, 4 groups of 10",
    }
)
"""Not in the default suite, which has smaller ones of the kind, and 200 of the last in test_simpson.py."""


def false_share(name: str, trials: int, first: int = 0) -> float:
    """Percent of populations with a false verdict."""
    make, wrong = (kin(every=True), WRONG_OF_NOTHING) if name == EVERY_KIN else NULLS[name]
    hits = 0
    for seed in range(first, first + trials):
        x, y, label = make(np.random.default_rng(seed))
        hits += simpson(x.tolist(), y.tolist(), label.tolist(), seed=seed, smallest=SMALLEST).verdict in wrong
    return 100 * hits / trials


def planted(count: int, size: int, noise: float, rng: np.random.Generator) -> Population:
    """Means rise, every group falls with slope -1."""
    label = groups([size] * count)
    dx = rng.uniform(-1.5, 1.5, count * size)
    return 6.0 * label + dx, 18.0 * label - dx + noise * rng.normal(size=count * size), label


OLD = {
    (2, 4): (87, 17, 4), (2, 5): (98, 41, 4), (2, 6): (100, 51, 11), (2, 8): (100, 73, 18),
    (3, 4): (98, 44, 9), (3, 5): (100, 63, 16), (3, 6): (100, 76, 19), (3, 8): (100, 90, 35),
    (5, 4): (100, 71, 21), (5, 5): (100, 89, 24), (5, 6): (100, 92, 37), (5, 8): (100, 98, 56),
}  # fmt: skip
"""(groups, size) -> percent told 'reversal' at noise .3, 1, 2 by the rule before: bootstrap and t at 0.02, models as
independent. It held 5 % under neither unequal variances nor unrelated group means. Measured on these populations."""
EQUAL = {
    (2, 4): (89, 23, 10), (2, 5): (99, 46, 9), (2, 6): (100, 59, 13), (2, 8): (100, 74, 22),
    (3, 4): (99, 49, 13), (3, 5): (100, 69, 23), (3, 6): (100, 77, 25), (3, 8): (100, 93, 38),
    (5, 4): (100, 74, 27), (5, 5): (100, 89, 31), (5, 6): (100, 94, 43), (5, 8): (100, 99, 60),
}  # fmt: skip
"""The same by the rule before at the largest level, 0.03, at which it held 5 % where nothing is inside groups and noise
is even: 4.3 % of 40 groups of 4, 4.0 % of 5 groups of 40. At 0.05 it told 7 to 9 % there; no level above 1e-6 holds 5 %
with unrelated group means."""
NOISES = (0.3, 1.0, 2.0)


def told(count: int, size: int, noise: float, trials: int = 100) -> Counter[Verdict]:
    found: Counter[Verdict] = Counter()
    for seed in range(trials):
        x, y, label = planted(count, size, noise, np.random.default_rng(seed))
        found[simpson(x.tolist(), y.tolist(), label.tolist(), seed=seed).verdict] += 1
    return found


def calibration_table(trials: int = TRIALS) -> str:
    rows = [
        f"| {one} | {false_share(one, trials):.1f} | {false_share(one, trials, FRESH):.1f} |"
        for one in (*NULLS, EVERY_KIN)
    ]
    return "\n".join(["| population | seeds of the rule, % | fresh seeds, % |", "|---|---|---|", *rows])


def power_table() -> str:
    head = "| groups x models | noise .3 | noise 1 | noise 2 | before: .3 / 1 / 2 | before, at equal level |"
    rows = [head, "|---|---|---|---|---|---|"]
    for (count, size), before in OLD.items():
        cells = []
        for noise in NOISES:
            found = told(count, size, noise)
            cells.append(f"{found[Verdict.REVERSAL]} + {found[Verdict.OPPOSED]}")
        olds = [" / ".join(map(str, one)) for one in (before, EQUAL[count, size])]
        rows.append(f"| {count} x {size} | {' | '.join([*cells, *olds])} |")
    return "\n".join(rows)


@pytest.mark.parametrize("name", sorted(NULLS.keys() - HEAVY))
def test_no_null_has_many_false_verdicts(name: str) -> None:
    """Of 60, at most 7: 5 % and two and a half standard errors."""
    assert false_share(name, 60) <= 12


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [*NULLS, EVERY_KIN])
def test_false_verdicts_and_the_table_of_the_page(name: str) -> None:
    shown = dict(re.findall(r"^\| ([^|]+) \| ([\d.]+ \| [\d.]+) \|$", PAGE.read_text(), re.MULTILINE))
    for first, cell in zip((0, FRESH), shown[name].split(" | "), strict=True):
        share = false_share(name, TRIALS, first)
        assert (share <= 5.0) is (name != EVERY_KIN)
        assert share == pytest.approx(float(cell), abs=0.5)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_power_and_the_table_of_the_page() -> None:
    """At equal level higher than before, or as high, in 34 of 36 designs."""
    pattern = r"^\| (\d+ x \d+) \| (.+) \| [\d /]+ \| ([\d /]+) \|$"
    rows = {row: (cells, old) for row, cells, old in re.findall(pattern, PAGE.read_text(), re.MULTILINE)}
    lower = 0
    for (count, size), before in EQUAL.items():
        cells, old = rows[f"{count} x {size}"]
        assert old == " / ".join(map(str, before))
        shown = [[int(one) for one in cell.split(" + ")] for cell in cells.split(" | ")]
        for noise, (reversal, opposed), share in zip(NOISES, shown, before, strict=True):
            found = told(count, size, noise)
            assert found[Verdict.REVERSAL] == pytest.approx(reversal, abs=2)
            assert found[Verdict.OPPOSED] == pytest.approx(opposed, abs=2)
            lower += reversal + opposed < share
    assert lower <= 2


if __name__ == "__main__":
    print(calibration_table(), power_table(), sep="\n\n")
