"""Batch lines of a made-up data set, whole: plain, with each covariate held and with all, and what is held at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analysis.studies.oracle import adjusted, line, near
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.robust import robust_slope
from zoospectra.analysis.studies import batch
from zoospectra.analysis.studies.record import Cell

LABEL = "p / d / e"


def zoo(count: int, seed: int = 0) -> dict[str, list[dict]]:
    """Models whose number depends on depth, which all have, and on year and size, which most have."""
    rng = np.random.default_rng(seed)
    ids = [f"m{i:02d}" for i in range(count)]
    averages = [{"model_id": name, "profile": "p", "basis": "weights", "num_layers": int(rng.integers(3, 9))}
                | {metric: float(rng.normal()) for metric in ("alpha", "log_norm", "D")} for name in ids]  # fmt: skip
    catalog = [
        {"model_id": name, "series": "xyz"[i % 3], "params": 10.0 ** (3 + i % 4) if i % 5 else None}
        | {"year": 2015 + i % 6 if i % 7 else None, "depth": int(rng.integers(1, 9)), "word": "a", "flag": True}
        for i, name in enumerate(ids)
    ]
    reported = [
        {"model_id": c["model_id"], "dataset": "d", "metric": "e", "higher_is_better": True}
        | {"value": a["alpha"] - 2 * a["log_norm"] - c["depth"] + 0.3 * float(rng.normal())}
        for a, c in zip(averages, catalog, strict=True)
    ]
    for place in (1, 2):
        averages[place]["D"] = None
    return {"averages": averages, "catalog": catalog, "reported": reported}


@pytest.mark.parametrize(("count", "smallest"), [(30, 4), (8, 8), (8, 7)])
def test_the_table_of_batch(count: int, smallest: int) -> None:
    designs = zoo(count, count)
    found = batch.run(designs, batch.Options(smallest=smallest))
    catalog, y = designs["catalog"], [row["value"] for row in designs["reported"]]
    held = {
        "depth": [float(row["depth"]) for row in catalog],
        "log10 params": [None if row["params"] is None else math.log10(row["params"]) for row in catalog],
        "year": [None if row["year"] is None else float(row["year"]) for row in catalog],
    }
    expected: list[Cell] = []
    for metric in ("alpha", "D", "log_norm"):
        x, row = [one[metric] for one in designs["averages"]], f"{LABEL} / {metric}"
        plain = line("BATCH", row, "", x, y, smallest=smallest, basis="weights")
        if plain[0].reason:
            expected += plain
            continue
        every = [*held.values()]
        fits = {f", {name} held": robust_slope(x, y, None, [values]) for name, values in held.items()}
        fits[", all held"] = fit = robust_slope(x, y, None, every)
        if fit.p is not None:
            told = "stays" if fit.slope * plain[3].value > 0 else "turns around"
            told = f"{told} with covariates" if fit.p <= 0.05 else "not told with covariates"
            plain[3] = Cell("BATCH", row, "slope", plain[3].value, plain[3].n, None, told, None, "weights")
        expected += plain
        for end, one in fits.items():
            values = {"slope": one.slope, "slope low": one.low, "slope high": one.high, "p": one.p}
            expected += [Cell("BATCH", row, word + end, v, one.n, reason=one.reason) for word, v in values.items()]
        random = mixed(x, y, [one["series"] for one in catalog], every)
        for word, value in (("slope", random.slope), ("p", random.p)):
            expected.append(Cell("BATCH", row, f"mixed {word}, all held", value, random.n, reason=random.reason))
    assert list(found.cells) == near(adjusted(adjusted(expected), "p, all held"))
    notes = [f"{LABEL}: {count} models; held constant: depth, log10 params, year"]
    told = [cell.verdict for cell in expected if cell.verdict]
    assert list(found.notes) == [*notes, *(f"{told.count(word)} lines: {word}" for word in sorted(set(told)))]
    assert [(row["model_id"], row["y"], row["excluded_by"]) for row in found.design] == [
        (row["model_id"], value, None) for row, value in zip(catalog, y, strict=True)
    ]


def test_what_is_held_constant() -> None:
    designs = zoo(12)
    catalog = [row | {"depth": None, "params": None, "year": 2015} for row in designs["catalog"]]
    averages, reported = designs["averages"], designs["reported"]

    def held(catalog: list[dict], **words: list[str]) -> list[str]:
        options = batch.Options(metrics=["alpha"], **words)
        found = batch.run({"averages": averages, "catalog": catalog, "reported": reported}, options)
        columns = [cell.column for cell in found.cells if cell.column.startswith("slope, ")]
        said = ", ".join(column[7:-5] for column in columns if column != "slope, all held") or "nothing is known"
        assert f"{LABEL}: 12 models; held constant: {said}" in found.notes
        return columns

    assert held(catalog) == ["slope, depth held", "slope, all held"]  # of the layers measured; the year does not differ
    catalog[0]["year"] = 2016
    assert held(catalog) == ["slope, depth held", "slope, year held", "slope, all held"]
    assert held(catalog, covariates=["year"]) == ["slope, year held", "slope, all held"]
    averages = [row | {"num_layers": 3} for row in averages]
    assert held([row | {"year": None} for row in catalog]) == []
    assert held([row | {"year": True, "depth": row["flag"]} for row in catalog]) == []  # no numbers
    plain = batch.run(designs | {"reported": []}, batch.Options())
    assert plain.notes == ("no model has a reported metric: nothing to regress on",)


@pytest.mark.parametrize(("known", "held"), [(10, True), (9, False)])
def test_a_covariate_is_held_where_half_of_the_models_have_it_and_differ(known: int, held: bool) -> None:
    rng = np.random.default_rng(0)
    names = [f"m{i}" for i in range(20)]
    averages = [
        {"model_id": n, "profile": "p", "basis": "weights", "alpha": float(rng.normal()), "num_layers": 3}
        for n in names
    ]
    catalog = [
        {"model_id": n, "series": "xy"[i % 2], "year": 2010 + i % 3 if i < known else None, "params": 10 ** (1 + i % 4)}
        for i, n in enumerate(names)
    ]
    reported = [
        {"model_id": n, "dataset": "d", "metric": "e", "value": float(rng.normal()), "higher_is_better": True}
        for n in names
    ]
    found = batch.run(
        {"averages": averages, "catalog": catalog, "reported": reported}, batch.Options(metrics=["alpha"])
    )
    words = "log10 params, year" if held else "log10 params"  # the number of layers is that of all
    assert f"p / d / e: 20 models; held constant: {words}" in found.notes


@pytest.mark.parametrize(("plain", "partial", "p", "verdict"), [
    (1.0, 2.0, 0.05, "stays with covariates"), (1.0, -2.0, 0.01, "turns around with covariates"),
    (-1.0, -2.0, 0.01, "stays with covariates"), (1.0, 2.0, 0.051, "not told with covariates"),
    (0.5, 0.5, 0.01, "stays with covariates"), (0.0, 1.0, 0.01, "turns around with covariates"),
    (None, 2.0, 0.01, None), (1.0, None, 0.01, None), (1.0, 2.0, None, None),
])  # fmt: skip
def test_what_covariates_do_to_a_slope(
    plain: float | None, partial: float | None, p: float | None, verdict: str
) -> None:
    from zoospectra.analysis.statistics.robust import RobustSlope

    assert batch._verdict(plain, RobustSlope(9, 5.0, partial, 1.0, None, None, p)) == verdict
