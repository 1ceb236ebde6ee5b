"""Populations, targets, seeds and what is held constant, of made-up catalogs, against their definitions."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from tests.analysis.studies.oracle import near
from zoospectra.analysis.statistics import permutation
from zoospectra.analysis.statistics.sample import sample
from zoospectra.analysis.studies import seeds
from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import check_metrics, covariates, groupings, metrics, populations
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.target import targets, twin


def zoo(seed: int) -> dict[str, list[dict]]:
    """30 models in two profiles: doubles whose first is missing, families, columns of every kind, three data sets."""
    rng = np.random.default_rng(seed)
    names = [f"m{i:02d}" for i in range(30)]
    averages = [
        {"model_id": name, "profile": profile, "basis": "weights", "num_layers": int(rng.integers(3, 9)), "D": None}
        | {metric: float(rng.normal()) for metric in ("alpha", "log_norm")}
        | {"alpha_weighted": float(rng.normal()) if name == "m05" else None, "stable_rank": float(rng.normal())}
        for name in names
        for profile in ("p", "q")
        if rng.random() < 0.9
    ]
    averages.append(averages[0] | {"model_id": "nobody", "profile": "z"})  # nothing is reported of it
    catalog = [
        {"model_id": name, "series": rng.choice(["x", "y", None]), "depth": int(rng.integers(1, 4)), "params": 10**i}
        | {"width": int(i) if i % 5 else None, "size": float(i), "year": 2015 + i % 7 if i % 2 else None}
        | {"kind": rng.choice(["a", "b"]), "flag": bool(i % 2), "twelve": i % 12, "thirteen": i % 13, "seed": i % 3}
        | {"double_of": f"m0{i % 2}" if i > 25 else None}
        for i, name in enumerate(names)
    ]
    reported = [
        {
            "model_id": name,
            "dataset": dataset,
            "metric": metric,
            "value": float(rng.normal()),
            "higher_is_better": rng.random() < 0.8,
        }
        for dataset in ("d", None)
        for metric in ("acc", "test_acc", "train_acc", "err")
        for name in names
        if rng.random() < {"acc": 0.6, "test_acc": 0.7, "train_acc": 0.95, "err": 0.65}[metric]
    ]
    doubles = {row["model_id"]: row["double_of"] for row in catalog}
    reported = [row | {"double_of": doubles[row["model_id"]]} for row in reported]
    kin = [{"model_id": name, "family": int(rng.integers(0, 9))} for name in names if name != "m05"]
    return {"averages": averages, "catalog": catalog, "reported": reported, "kin": kin}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("independent", ["off", "cluster", "one"])
def test_populations(seed: int, independent: str) -> None:
    designs = zoo(seed)
    found = {
        one.label: one
        for one in populations(
            designs, PopulationOptions(["err", "test_acc"], ["d", "no data set"], independent=independent)
        )
    }
    catalog = {row["model_id"]: row for row in designs["catalog"]}
    family = {row["model_id"]: row["family"] for row in designs["kin"]}
    values: dict[tuple, dict[str, float]] = defaultdict(dict)
    for row in designs["reported"]:
        values[row["dataset"] or "no data set", row["metric"]][row["model_id"]] = row["value"]
    labels = {f"{p} / {d} / {m}" for p in "pq" for d in ("d", "no data set") for m in ("err", "test_acc")}
    assert set(found) == labels
    for label, one in found.items():
        profile, dataset, metric = label.split(" / ")
        there = [
            r["model_id"]
            for r in designs["averages"]
            if r["profile"] == profile and r["model_id"] in values[dataset, metric]
        ]
        counted, kept, out = {}, [], {}
        for name in sorted(there):
            identity = catalog[name]["double_of"] or name
            first = counted.setdefault(identity, name)
            if first == name:
                kept.append(name)
            else:
                out[name] = f"the same model as {first}"
        if independent == "one":
            heads: dict[object, str] = {}
            for name in list(kept):
                first = heads.setdefault(family.get(name, name), name)
                if first != name:
                    kept.remove(name)
                    out[name] = f"kin of {first}"
        assert sorted(row["model_id"] for row in one.rows) == kept
        assert {row["model_id"]: row["excluded_by"] for row in one.excluded} == out
        assert one.y == tuple(values[dataset, metric][row["model_id"]] for row in one.rows)
        train = values[dataset, f"train_{metric.removeprefix('test_')}"]
        assert one.train == tuple(train.get(row["model_id"]) for row in one.rows)
        clusters = [family.get(row["model_id"], row["model_id"]) for row in one.rows]
        assert [one.family(i) for i in range(len(one.rows))] == (
            clusters if independent == "cluster" else [None] * len(kept)
        )
        design = {row["model_id"]: row for row in one.design()}
        assert {name: row["excluded_by"] for name, row in design.items()} == dict.fromkeys(kept) | out
        assert all(row["y"] == values[dataset, metric][name] for name, row in design.items())
    only = populations(designs, PopulationOptions(["err"], ["d"], profile="p"))
    assert [one.label for one in only] == ["p / d / err"]


def test_columns_of_a_population_are_groupings_covariates_or_names() -> None:
    (one,) = populations(zoo(0), PopulationOptions(["test_acc"], ["d"], profile="p"))
    sizes = {
        name: Counter(row[name] for row in one.entries if row[name] is not None)
        for name in ("series", "depth", "kind", "flag", "twelve", "thirteen", "year")
    }
    for smallest in (2, 4, 6):
        expected = {name for name, count in sizes.items() if sum(v >= smallest for v in count.values()) > 1}
        expected -= {name for name in ("thirteen",) if len(sizes[name]) > 12}
        assert set(groupings(one, (), smallest)) == expected
    assert set(groupings(one, ["seed", "thirteen"], 4)) == {"seed", "thirteen"}
    held = covariates(one)
    full = {"size", "log10 params"} | ({"thirteen"} if len(sizes["thirteen"]) == 13 else set())
    assert set(held) == full  # width and year are missing of some; twelve values are a grouping
    assert held["log10 params"] == [pytest.approx(math.log10(row["params"])) for row in one.entries]
    assert set(covariates(one, ["width", "depth"])) == {"width", "depth"}
    with pytest.raises(ValueError, match="covariates=kind: expected a column of numbers"):
        covariates(one, ["kind"])
    assert sum(row["alpha_weighted"] is not None for row in one.rows) == 1
    assert set(metrics(one)) == {"alpha", "log_norm"}  # two models need a metric
    assert list(metrics(one, ["stable_rank"])) == ["stable_rank"]
    for name in ("num_layers", "depth", "x"):
        with pytest.raises(ValueError, match=f"metrics={name}: expected some of alpha"):
            check_metrics([one], [name])


def test_twelve_numbers_are_a_grouping_and_thirteen_a_covariate() -> None:
    base = {"profile": "p", "alpha": 1.0, "dataset": "d", "metric": "e", "value": 1.0, "higher_is_better": True}
    rows = [base | {"model_id": f"m{i}", "twelve": i % 12, "thirteen": i % 13} for i in range(26)]
    catalog = [{name: row[name] for name in ("model_id", "twelve", "thirteen")} for row in rows]
    catalog = [row | {"step": (0.1 + 0.2, 0.3)[i % 2]} for i, row in enumerate(catalog)]
    (one,) = populations({"averages": rows, "catalog": catalog, "reported": rows})
    assert set(one.labels("step")) == {0.3}, "one group, by the number that the catalog meant"
    assert list(groupings(one, (), 2)) == ["twelve"]
    assert covariates(one) == {"thirteen": [float(i % 13) for i in range(26)]}


def test_the_target_of_a_data_set_and_its_twin() -> None:
    def rows(dataset: str | None, metric: str, count: int, higher: int = 99) -> list[dict]:
        base = {"dataset": dataset, "metric": metric}
        return [base | {"model_id": f"m{i}", "value": i, "higher_is_better": i < higher} for i in range(count)]

    reported = [*rows("d", "train_acc", 9), *rows("d", "other", 5), *rows("d", "test_acc", 5), *rows("d", "few", 4)]
    reported += [*rows(None, "b", 3, higher=2), *rows(None, "a", 3, higher=1), *rows("e", "train_acc", 2)]
    found = targets(reported, datasets=["d", "e", "no data set"])
    assert [(one.label, one.higher_is_better, len(one.values)) for one in found] == [
        ("d / test_acc", True, 5), ("e / train_acc", True, 2), ("no data set / a", False, 3),
    ]  # fmt: skip
    assert targets(reported) == found[:2]  # without a data set a number is in no line that nobody asked for
    assert [one.label for one in targets(reported, ["few", "b"])] == ["d / few"]
    assert [one.label for one in targets(reported, ["b"], ["no data set"])] == ["no data set / b"]
    assert [one.label for one in targets(reported, datasets=["e"])] == ["e / train_acc"]
    assert len(twin(reported, found[0])) == 9
    assert twin(reported, found[2]) == {}


def families(seed: int) -> dict[str, list[dict]]:
    """60 models in five families and none: of two or more levels of a treatment, or of seeds, some without either."""
    rng = np.random.default_rng(seed)
    averages, catalog = [], []
    for i in range(60):
        family = ("a", "b", "c", "d", "e", None)[i % 6]
        row = {"model_id": f"m{i}", "series": family, "double_of": "m0" if i == 59 else None}
        row["noise"] = float(rng.choice([0.1, 0.2, 0.4, 0.8][: 2 + i % 6])) if family in ("a", "b", "c", None) else None
        row["seed"] = int(rng.integers(9)) if family in ("d", "e", None) and rng.random() < 0.8 else None
        catalog.append(row)
        value = None if i % 11 == 10 else float(np.round(rng.normal(3, 1) + 2 * (row["noise"] or 0), 1))
        averages.append({"model_id": f"m{i}", "profile": "p", "alpha": value, "log_norm": 1.0 * i})
    reported = [
        {
            "model_id": f"m{i}",
            "dataset": "d",
            "metric": f"e{i % 2}",
            "value": float(rng.integers(5)),
            "higher_is_better": i % 2 == 0,
        }
        for i in range(60)
    ]
    return {"averages": averages, "catalog": catalog, "reported": reported}


@pytest.mark.parametrize("seed", range(3))
def test_seeds(seed: int) -> None:
    designs = families(seed)
    averages, catalog, reported = (designs[name] for name in ("averages", "catalog", "reported"))
    found = seeds.run(designs, seeds.Options(metrics=["alpha", "log_norm"], seed=seed))
    expected: dict[str, list[Cell]] = {}
    for metric in ("alpha", "log_norm"):
        rows = [a | c for a, c in zip(averages, catalog, strict=True)]
        rows = [row for row in rows if row["double_of"] is None and row[metric] is not None]
        expected[metric] = [*of_seeds(f"p / {metric}", metric, rows, seed)]
        expected[metric] += of_quality(f"p / {metric}", {row["model_id"]: row[metric] for row in rows}, reported)
    chance = [c for own in expected.values() for c in own if c.column == "p, permutation"]
    q_values = stats.false_discovery_control([c.value for c in chance])
    whole, notes = [], []
    for (metric, own), cell, q in zip(expected.items(), chance, q_values, strict=True):
        place = next(i for i, c in enumerate(own) if c.column == "p, more than seeds") + 1
        more = own[place - 1].value <= 0.05
        verdict = "moves one way, " if q <= 0.05 else "moves " if more else ""
        verdict += "more than seeds" if more else "no more than seeds"
        verdict += ", no one way" if more and q > 0.05 else ""
        own.insert(place, replace(cell, column="p, permutation, adjusted", value=float(q)))
        whole += [replace(c, verdict=verdict) if c.table_id == "SEEDS" else c for c in own]
        notes.append(f"p / {metric}: {verdict}")
    kept = [c for c in found.cells if c.table_id != "SEEDS_FAMILIES" or c.column in ("slope", "tau")]
    assert kept == near(whole)
    assert list(found.notes) == notes
    assert [row["model_id"] for row in found.design if row["excluded_by"] is None] == [f"m{i}" for i in range(59)]
    assert [row["model_id"] for row in found.design if row["excluded_by"]] == ["m59"]  # a second name
    assert {row["profile"] for row in found.design} == {"p"}
    more = [*averages, {"model_id": "nobody", "profile": "p", "alpha": 1.0, "log_norm": 1.0}]  # not in the catalog
    more += [row | {"profile": "q", "alpha": 0.5 * i} for i, row in enumerate(averages)]
    options = seeds.Options(metrics=["alpha", "log_norm"], seed=seed, profile="p")
    assert seeds.run(designs | {"averages": more}, options) == found
    with pytest.raises(ValueError, match="metrics=model_id: expected some of alpha, log_norm"):
        seeds.run(designs, seeds.Options(metrics=["model_id"]))


def test_three_treated_families_of_other_widths() -> None:
    rows = [
        {"model_id": f"{family}{i}", "profile": "p", "alpha": slope * x, "series": family, "noise": x, "seed": None}
        for family, xs in (("a", (0, 1, 2)), ("b", (0, 1, 5)), ("c", (0, 3, 9)))
        for i, x in enumerate(xs)
        for slope in (2.0,)
    ]
    rows += [rows[0] | {"model_id": f"s{i}", "alpha": a, "series": s, "noise": None, "seed": i}
             for i, (s, a) in enumerate([("d", 1.0), ("d", 3.0), ("e", 7.0)])]  # fmt: skip

    def cells(rows: list[dict]) -> dict[str, tuple]:
        found = seeds.run({"averages": rows, "catalog": rows, "reported": []}, seeds.Options(metrics=["alpha"]))
        return {c.column: (c.value, c.reason) for c in found.cells if c.table_id == "SEEDS"}

    found = cells(rows)
    assert found["change over the levels"] == (pytest.approx(2.0 * (2 + 5 + 9) / 3), None)
    assert found["sd between seeds"] == (pytest.approx(math.sqrt(2)), None)  # of the only family of two
    assert found["families of seeds"] == (1.0, None)
    still = cells([row | ({} if row["noise"] is None else {"alpha": 4.0}) for row in rows])
    why = "y is constant inside every group"
    assert still["change in sd of seeds"] == still["slope"] == (0.0, why)
    two = cells([row for row in rows if row["series"] in ("d", "e")])
    assert two["sd between families"] == (pytest.approx(np.std([2.0, 7.0], ddof=1)), None)


def pooled(groups: dict[object, list[float]]) -> tuple[int, int, float]:
    """Groups of two and more, their degrees of freedom, and the root of the pooled variance."""
    several = [np.array(values) for values in groups.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in several)
    return len(several), freedom, math.sqrt(sum(((v - v.mean()) ** 2).sum() for v in several) / freedom)


def of_seeds(label: str, metric: str, rows: list[dict], seed: int) -> list[Cell]:
    """Cells of one metric and of its treated families; the verdict is not among them."""
    by_seed, everyone, levels = defaultdict(list), defaultdict(list), defaultdict(set)
    for row in rows:
        if row["series"] is not None:
            everyone[row["series"]].append(row[metric])
            if row["seed"] is not None:
                by_seed[row["series"]].append(row[metric])
            if row["noise"] is not None:
                levels[row["series"]].add(row["noise"])
    treated = [r for r in rows if len(levels.get(r["series"], ())) >= 3 and r["noise"] is not None]
    by_family = defaultdict(list)
    for row in treated:
        by_family[row["series"]].append((row["noise"], row[metric]))
    moved, null = pooled({name: [y for _, y in own] for name, own in by_family.items()}), pooled(by_seed)
    x, y = (
        np.concatenate([[p[i] - np.mean(own, axis=0)[i] for p in own] for own in by_family.values()]) for i in (0, 1)
    )
    slope, width = x @ y / (x @ x), np.mean([np.ptp([x for x, _ in own]) for own in by_family.values()])
    groups = [name for name, own in by_family.items() for _ in own]
    points = [point for own in by_family.values() for point in own]
    found = sample([r["noise"] for r in treated], [r[metric] for r in treated], [r["series"] for r in treated])
    assert len(points) == len(groups) == found.n
    values = {
        "families of seeds": null[0], "sd between seeds": null[2],
        "sd between families": np.std([np.mean(v) for v in everyone.values()], ddof=1), "treated": len(treated),
        "slope": slope, "p, permutation": permutation.of_sample(found, 9999, seed).p,
        "change over the levels": slope * width, "change in sd of seeds": slope * width / null[2],
        "sd over the levels / sd between seeds": moved[2] / null[2],
        "p, more than seeds": special.fdtrc(moved[1], null[1], (moved[2] / null[2]) ** 2),
    }  # fmt: skip
    made = [Cell("SEEDS", label, word, value, len(treated)) for word, value in values.items()]
    for name in found.names:
        a, b = zip(*by_family[name], strict=True)
        line = {"tau": stats.kendalltau(a, b).statistic, "slope": stats.linregress(a, b).slope}
        made += [Cell("SEEDS_FAMILIES", f"{label} / {name}", word, value, len(a)) for word, value in line.items()]
    return made


def of_quality(label: str, x: dict[str, float], reported: list[dict]) -> list[Cell]:
    """Pairs that one number of one data set puts in an order, and in how many the smaller value is the better."""
    made = []
    for metric, sign in (("e0", 1), ("e1", -1)):
        points = [
            (x[r["model_id"]], sign * r["value"]) for r in reported if r["metric"] == metric and r["model_id"] in x
        ]
        pairs = [(a, b) for i, a in enumerate(points) for b in points[:i] if a[0] != b[0] and a[1] != b[1]]
        right = sum((a[0] < b[0] and a[1] > b[1]) or (a[0] > b[0] and a[1] < b[1]) for a, b in pairs)
        for word, count in (("pairs", len(pairs)), ("smaller is better", right)):
            made.append(Cell("SEEDS_QUALITY", f"{label} / d / {metric}", word, count, len(points)))
    return made


def test_seeds_without_seeds_treatment_or_families() -> None:
    designs = families(0)
    for change, column, why in (
        ({"seed": None}, "sd between seeds", "no family with two values of seed"),
        ({"noise": None}, "slope", "no family with 3 values of noise"),
        ({"series": None}, "sd between families", "fewer than two families"),
        ({"series": "a", "noise": 0.1}, "sd between families", "fewer than two families"),
    ):
        catalog = [row | change for row in designs["catalog"]]
        found = seeds.run(designs | {"catalog": catalog}, seeds.Options(metrics=["alpha"]))
        cells = {cell.column: cell for cell in found.cells if cell.table_id == "SEEDS"}
        assert (cells[column].value, cells[column].reason) == (None, why)
        assert cells["p, more than seeds"].value is None
        assert cells["change in sd of seeds"].value is None
        assert cells["sd over the levels / sd between seeds"].reason in (
            "no family with two values of seed", "no family with 3 values of noise"
        )  # fmt: skip
        assert found.notes == ("p / alpha: nothing to compare",)
        assert {cell.n for cell in cells.values()} == {cells["treated"].value}
    averages = [row | {"alpha": float(i % 6)} for i, row in enumerate(designs["averages"])]  # one value a family
    found = seeds.run(designs | {"averages": averages}, seeds.Options(metrics=["alpha"]))
    cells = {cell.column: (cell.value, cell.reason) for cell in found.cells if cell.table_id == "SEEDS"}
    why = "y is constant inside every group"
    assert cells["p, permutation"] == cells["p, permutation, adjusted"] == (None, why)
    assert (cells["slope"], cells["change over the levels"]) == ((0.0, why), (0.0, why))
    assert cells["sd between seeds"] == (0.0, "no family with two values of seed")
    assert seeds.spread([1.0, 2.0, 4.0], ["a", "b", "c"]) == seeds.Spread(0, 0, None)
    none = seeds.run(designs | {"averages": []}, seeds.Options())
    assert none.cells == ()
    for words, message in (
        ({"profile": "x"}, "profile=x: expected some of p"), ({"family": "x"}, "family=x: expected some of"),
        ({"member": "x"}, "member=x: expected some of"), ({"metrics": ["x"]}, "metrics=x: expected some of alpha"),
        ({"treatment": "series"}, "treatment=series: expected a column of numbers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            seeds.run(designs, seeds.Options(**words))


@pytest.mark.parametrize(("direction", "amount", "verdict"), [
    (0.05, 0.05, "moves one way, more than seeds"), (0.05, 0.051, "moves one way, no more than seeds"),
    (0.051, 0.05, "moves more than seeds, no one way"), (0.051, 0.051, "no more than seeds"),
    (None, 0.01, "nothing to compare"), (0.01, None, "nothing to compare"),
])  # fmt: skip
def test_what_a_treatment_does(direction: float | None, amount: float | None, verdict: str) -> None:
    values = {"p, permutation, adjusted": (direction, None), "p, more than seeds": (amount, None)}
    assert seeds._verdict(values) == verdict
