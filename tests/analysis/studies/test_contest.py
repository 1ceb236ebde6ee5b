"""The contest's tables of a made-up zoo, whole: sub-groups, averages, pooled lines and scores, against scipy."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from tests.analysis.studies.oracle import adjusted, line, near
from zoospectra.analysis.statistics.mutual_information import cmi_official, cmi_weighted
from zoospectra.analysis.studies import contest
from zoospectra.analysis.studies.record import Cell

METRICS = {"alpha": "Alpha", "log_spectral_norm": "LogSpectralNorm", "log_norm": "LogFrobeniusNorm"}
AVERAGED = ("RMSE", "R2", "tau", "slope")


def zoo(seed: int, higher: bool, trained: int) -> dict[str, list[dict]]:
    """23 models in series of 9, 7, 4 and 3; `trained` of them have a training number; some without an average."""
    rng = np.random.default_rng(seed)
    ids = [f"m{i:02d}" for i in range(23)]
    averages = [
        {"model_id": name, "profile": "p", "basis": "weights", "num_layers": 3}
        | {metric: float(rng.normal(3, 1)) for metric in METRICS}
        | ({"alpha": None} if name == "m02" else {})
        for name in ids
    ]
    catalog = [
        {"model_id": name, "series": "x" * 9 + "y" * 7 + "z" * 4 + "w" * 3, "width": int(rng.integers(2))}
        | {"depth": int(rng.integers(2)), "family": "ab"[int(rng.integers(2))], "only": 1}
        for name in ids
    ]
    catalog = [row | {"series": row["series"][i]} for i, row in enumerate(catalog)]
    base = {"dataset": "d", "higher_is_better": higher}
    reported = [
        base | {"model_id": name, "metric": metric, "value": float(rng.normal(50, 9))}
        for metric, count in (("test_acc", 23), ("train_acc", trained))
        for name in ids[:count]
    ]
    return {"averages": averages, "catalog": catalog, "reported": reported}


def table(name: str, groups: dict[str, list[int]], label: str, x: list, y: list, smallest: int) -> list[Cell]:
    """Lines of the groups, the plain mean of each statistic over them, and one line through all."""
    made = []
    for group, members in groups.items():
        row = f"p / d / test_acc / {group}"
        made += line(
            name, row, label, [x[i] for i in members], [y[i] for i in members], smallest=smallest, basis="weights"
        )
    means = defaultdict(list)
    for cell in made:
        if cell.value is not None and cell.column.removesuffix(f" {label}") in AVERAGED:
            means[cell.column].append(cell.value)
    made += [Cell(name, "p / d / test_acc / AVG", word, float(np.mean(v)), len(v)) for word, v in means.items()]
    return made + line(name, "p / d / test_acc / POOLED", label, x, y, smallest=smallest, basis="weights")


@pytest.mark.parametrize(("grouping", "smallest", "higher", "trained"), [
    ("series", 4, True, 23), ("series", 3, False, 20), ("width", 5, True, 0), ("series", 8, False, 1),
])  # fmt: skip
def test_the_tables_of_the_contest(grouping: str, smallest: int, higher: bool, trained: int) -> None:
    designs = zoo(smallest, higher, trained)
    found = contest.run(designs, contest.Options(grouping=grouping, smallest=smallest))
    catalog, label = designs["catalog"], "p / d / test_acc"
    values = {row["model_id"]: row["value"] for row in designs["reported"] if row["metric"] == "test_acc"}
    train = {row["model_id"]: row["value"] for row in designs["reported"] if row["metric"] == "train_acc"}
    y, given = [values[row["model_id"]] for row in catalog], [train.get(row["model_id"]) for row in catalog]
    mine = {name: [row[name] for row in designs["averages"]] for name in METRICS}
    groups = defaultdict(list)
    for i, row in enumerate(catalog):
        groups[str(row[grouping]) if grouping == "series" else f"{grouping} {row[grouping]}"].append(i)
    large = {name: groups[name] for name in sorted(groups) if len(groups[name]) >= smallest}
    notes = [f"{label}: direction: test_acc = a + b * metric"]
    notes += [
        f"{label} / {name}: too few models: {len(groups[name])}, at least {smallest} are needed"
        for name in sorted(set(groups) - set(large))
    ]
    shown = ["log_spectral_norm", "alpha"]
    expected = table("C_T1", large, "Alpha vs LogSpectralNorm", *(mine[name] for name in shown), smallest)
    if trained:
        expected += table("C_T2", large, "training vs test", given, y, smallest)
        sign = 1 if higher else -1
        gap = [None if a is None else sign * (a - b) for a, b in zip(given, y, strict=True)]
        columns = {name: [row[name] for row in catalog] for name in ("width", "depth")}  # no series, no family
        for metric, word in METRICS.items():
            for column, rule in (("cmi_official", cmi_official), ("cmi_weighted", cmi_weighted)):
                score = rule(mine[metric], gap, columns)
                why = score.reason or f"hyperparameters held fixed: {' and '.join(score.given) or 'none'}"
                expected.append(Cell("C_SCORE", f"{label} / {word}", column, score.score, score.n, reason=why))
        notes.append(f"{label}: score of the contest, hyperparameters: width, depth")
    else:
        notes.append(f"{label}: no training numbers reported: no C_T2 and no score of the contest")
    for metric in ("alpha", "log_spectral_norm", "log_norm"):
        expected += table("C_T5", large, METRICS[metric], mine[metric], y, smallest)
    assert list(found.cells) == near(adjusted(expected))
    assert list(found.notes) == notes
    assert [(row["y"], row["train"], row["excluded_by"]) for row in found.design] == [
        (a, b, None) for a, b in zip(y, given, strict=True)
    ]


def test_averages_over_sub_groups_have_no_p_values_of_kin() -> None:
    designs = zoo(0, True, 0)
    designs["kin"] = [{"model_id": row["model_id"], "family": i // 2} for i, row in enumerate(designs["catalog"])]
    found = contest.run(designs, contest.Options(metrics=["alpha"], independent="cluster"))
    groups = [cell for cell in found.cells if cell.row[-1] in "xyz" and cell.value is not None]
    assert {"families Alpha", "effective models Alpha", "kin effect p Alpha"} <= {cell.column for cell in groups}
    means = [cell.column for cell in found.cells if cell.row.endswith(" / AVG")]
    assert means == [f"{word} Alpha" for word in (*AVERAGED, "kin effect slope")]


def test_the_contest_without_alpha_or_hyperparameters() -> None:
    designs = zoo(0, True, 23)
    found = contest.run(designs, contest.Options(metrics=["alpha", "log_spectral_norm"]))
    assert {cell.table_id for cell in found.cells} == {"C_T1", "C_T2", "C_T5", "C_SCORE"}
    found = contest.run(designs, contest.Options(metrics=["alpha"], hyperparameters=["only"]))
    assert {cell.table_id for cell in found.cells} == {"C_T2", "C_T5", "C_SCORE"}
    assert found.notes[-1] == "p / d / test_acc: score of the contest, hyperparameters: only"
    catalog = [{name: row[name] for name in ("model_id", "series")} for row in designs["catalog"]]
    found = contest.run(designs | {"catalog": catalog}, contest.Options(metrics=["alpha"]))
    assert found.notes[-1] == "p / d / test_acc: score of the contest, hyperparameters: none"
    assert {cell.reason for cell in found.cells if cell.table_id == "C_SCORE"} == {"hyperparameters held fixed: none"}
    for words in ({"grouping": "x"}, {"hyperparameters": ["x"]}):
        with pytest.raises(ValueError, match="=x: expected some of model_id, series"):
            contest.run(designs, contest.Options(**words))
    assert contest.run(designs | {"reported": []}, contest.Options()).notes == (
        "no model has a reported metric: nothing to compare with",
    )
