"""A treatment against the spread between seeds: planted families, and by scipy what each number must be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.studies.record import Findings
from zoospectra.analysis.studies.seeds import STUDY, Options, spread

LEVELS = (0.02, 0.1, 0.2, 0.3)


def population(slope: float, scatter: float, seeds: bool = True, **more: float) -> dict[str, list[dict]]:
    """Three families treated at four levels, two families of five seeds with a standard deviation near 0.1."""
    rng = np.random.default_rng(2)
    averages, catalog = [], []

    def add(family: str, value: float, **columns: float) -> None:
        name = f"{family}-{len(catalog)}"
        averages.append({"model_id": name, "profile": "p", "alpha": value, "basis": "weights"})
        catalog.append({"model_id": name, "series": family, **columns})

    for i, family in enumerate("abc"):
        for level in LEVELS:
            add(family, 3.0 + i + slope * level + scatter * rng.normal(), noise=level)
    for family in "de" if seeds else "":
        for seed in range(5):
            add(family, 5.0 + 0.1 * rng.normal(), seed=seed)
    add("a", 9.0)  # neither seed nor level: only between families
    add("few", 1.0, noise=0.1)
    add("few", 8.0, noise=0.2)
    values = [(row["model_id"], row["alpha"]) for row in averages[:4]]
    reported = [
        {"model_id": name, "dataset": "q", "metric": "loss", "higher_is_better": False, "value": value}
        for (name, _), value in zip(values, (1.0, 2.0, 3.0, 3.0), strict=True)
    ]
    return {"averages": averages, "catalog": catalog, "reported": reported}


def cells(found: Findings, table: str = "SEEDS") -> dict[str, float | None]:
    return {
        cell.column: cell.value for cell in found.cells if cell.table_id == table and cell.row.startswith("p / alpha")
    }


def verdict(found: Findings) -> str | None:
    return next(cell.verdict for cell in found.cells)


def test_a_treatment_that_moves_the_metric() -> None:
    designs = population(4.0, 0.05)
    found = STUDY.run(designs, Options(metrics=["alpha"]))
    mine = cells(found)
    assert verdict(found) == "moves one way, more than seeds"
    rows = [{**a, **c} for a, c in zip(designs["averages"], designs["catalog"], strict=True)]
    by = {name: [row["alpha"] for row in rows if row["series"] == name and "seed" in row] for name in "de"}
    null = np.sqrt((4 * np.var(by["d"], ddof=1) + 4 * np.var(by["e"], ddof=1)) / 8)
    assert (mine["families of seeds"], mine["treated"]) == (2, 12)
    assert mine["sd between seeds"] == pytest.approx(null)
    treated = {
        name: np.array([row["alpha"] for row in rows if row["series"] == name and "noise" in row]) for name in "abc"
    }
    x, y = np.tile(LEVELS, 3), np.concatenate([one - one.mean() for one in treated.values()])
    slope = stats.linregress(x - np.mean(LEVELS), y).slope
    assert mine["slope"] == pytest.approx(slope)
    assert mine["change over the levels"] == pytest.approx(slope * 0.28)
    assert mine["change in sd of seeds"] == pytest.approx(slope * 0.28 / null)
    ratio = np.sqrt(np.sum(y**2) / 9) / null
    assert mine["sd over the levels / sd between seeds"] == pytest.approx(ratio)
    assert mine["p, more than seeds"] == pytest.approx(stats.f.sf(ratio**2, 9, 8))
    means = [
        np.mean([row["alpha"] for row in rows if row["series"] == name]) for name in ("a", "b", "c", "d", "e", "few")
    ]
    assert mine["sd between families"] == pytest.approx(np.std(means, ddof=1))
    assert mine["p, permutation"] == mine["p, permutation, adjusted"] < 0.01
    slopes = [cell.value for cell in found.cells if (cell.table_id, cell.column) == ("SEEDS_FAMILIES", "slope")]
    assert slopes == pytest.approx([stats.linregress(LEVELS, one).slope for one in treated.values()])


@pytest.mark.parametrize(
    ("slope", "scatter", "expected"),
    [
        (0.0, 0.1, "no more than seeds"),
        (0.0, 2.0, "moves more than seeds, no one way"),
        (0.6, 0.005, "moves one way, no more than seeds"),
    ],
)
def test_every_verdict(slope: float, scatter: float, expected: str) -> None:
    assert verdict(STUDY.run(population(slope, scatter), Options(metrics=["alpha"]))) == expected


def test_without_seeds_or_treatment_there_is_nothing_to_compare() -> None:
    found = STUDY.run(population(4.0, 0.05, seeds=False), Options(metrics=["alpha"]))
    assert verdict(found) == "nothing to compare"
    reasons = {cell.column: cell.reason for cell in found.cells if cell.value is None}
    assert reasons["sd between seeds"] == "no family with two values of seed"
    designs = population(4.0, 0.05)
    designs["catalog"] = [{k: v for k, v in row.items() if k != "noise"} for row in designs["catalog"]]
    found = STUDY.run(designs, Options(metrics=["alpha"]))
    assert {cell.column: cell.reason for cell in found.cells}["slope"] == "no family with 3 values of noise"


def test_pairs_in_the_right_order() -> None:
    """Losses 1, 2, 3, 3 of networks whose alpha rises: five pairs, in all the smaller alpha is better."""
    found = STUDY.run(population(4.0, 0.0), Options(metrics=["alpha"]))
    assert cells(found, "SEEDS_QUALITY") == {"pairs": 5, "smaller is better": 5}
    found = STUDY.run(population(-4.0, 0.0), Options(metrics=["alpha"]))
    assert cells(found, "SEEDS_QUALITY") == {"pairs": 5, "smaller is better": 0}


def test_spread() -> None:
    found = spread([1.0, 3.0, 10.0, 10.0, 16.0, 7.0], ["a", "a", "b", "b", "b", "c"])
    assert (found.groups, found.freedom) == (2, 3)
    assert found.sd == pytest.approx(np.sqrt((2 + 24) / 3))
    assert spread([1.0], ["a"]).sd is None


def test_misuse() -> None:
    for options, message in (
        (Options(treatment="colour"), "treatment=colour: expected some of"),
        (Options(family="zoo"), "family=zoo: expected some of"),
        (Options(metrics=["beta"]), "metrics=beta: expected some of alpha"),
        (Options(profile="none"), "profile=none: expected some of p"),
    ):
        with pytest.raises(ValueError, match=message):
            STUDY.run(population(1.0, 0.1), options)
