"""The contest end to end on a small made-up copy of its folder: scan, regressions, score, distance from initialisation.

24 nets of one task: depth, batch size and dropout as hyperparameters; a net's norm is planted to follow its gap.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.jobs.studies.ask import study
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

h5py = pytest.importorskip("h5py")

TASK = "task1_v4"
GRID = list(itertools.product((2, 3, 4), (8, 32), (0.0, 0.5), (1, 2)))
"""Depth, batch size, dropout, replica."""


def kernels(seed: int, depth: int, scale: float) -> dict[str, np.ndarray]:
    """One convolution and dense kernels, in Keras' order of axes."""
    rng = np.random.default_rng(seed)
    made = {"conv2d": rng.standard_normal((3, 3, 3, 16))}
    made |= {f"dense_{i}": rng.standard_normal((48, 40)) * np.exp(rng.standard_normal(40)) for i in range(depth)}
    return {name: (scale * values).astype("f4") for name, values in made.items()}


def save(path: Path, layers: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in layers.items():
            file[f"{name}/{name}/kernel:0"] = values
            file[f"{name}/{name}/bias:0"] = np.zeros(values.shape[-1], dtype="f4")


def gap(i: int) -> float:
    depth, batch, dropout, replica = GRID[i]
    return 0.1 + 0.05 * depth + 0.02 * (batch == 8) + 0.03 * (dropout == 0) + 0.004 * replica


def trained(i: int) -> dict[str, np.ndarray]:
    return kernels(i, GRID[i][0], 10 ** (2 * gap(i)))


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with contest/ and the warehouse data/."""
    folder = tmp_path_factory.mktemp("pgdl")
    models, configs = folder / "contest" / "input_data" / TASK, {}
    for i, (depth, batch, dropout, _) in enumerate(GRID):
        place = models / f"model_{i}"
        place.mkdir(parents=True)
        save(place / "weights.hdf5", trained(i))
        save(place / "weights_init.hdf5", kernels(1000 + i, depth, 1.0))
        (place / "config.json").write_text("{}")
        values = {"depth": depth, "batch_size": batch, "dropout": dropout}
        configs[str(i)] = {
            "hparams": {name: {"current_value": value, "possible_values": []} for name, value in values.items()},
            "metrics": {"train_acc": 0.99 - 0.001 * i, "test_acc": 0.99 - 0.001 * i - gap(i), "train_loss": 0.1},
        }
    reference = folder / "contest" / "reference_data" / TASK
    reference.mkdir(parents=True)
    (reference / "model_configs.json").write_text(json.dumps(configs))
    words = [f"zoo.path={folder / 'contest'}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]
    assert main(["scan", "zoo=pgdl", *words]) == 0
    return folder


def test_every_kernel_of_the_trained_nets_is_analysed_once(contest: Path) -> None:
    sql = "SELECT count(*) AS n, count(DISTINCT model_id) AS models, count(alpha) AS fits FROM layer_metrics"
    (counts,) = query(contest / "data", sql).to_pylist()
    layers = sum(1 + depth for depth, *_ in GRID)
    assert counts == {"n": layers, "models": 24, "fits": layers}
    (row,) = query(
        contest / "data",
        "SELECT dataset, series, depth, batch_size, dropout, initial_weights FROM models WHERE name LIKE '%model_5'",
    ).to_pylist()
    assert row | {"initial_weights": None} == {
        "dataset": "cifar-10",
        "series": TASK,
        "depth": GRID[5][0],
        "batch_size": GRID[5][1],
        "dropout": GRID[5][2],
        "initial_weights": None,
    }
    assert row["initial_weights"].endswith(f"{TASK}/model_5/weights_init.hdf5")


def log_norm(i: int) -> float:
    """Mean log10 of squared Frobenius norms, of the arrays themselves; convolutions halved as WeightWatcher does."""
    sizes = [
        np.log10(np.sum(values.astype("f8") ** 2) * (0.5 if values.ndim == 4 else 1.0))
        for values in trained(i).values()
    ]
    return float(np.mean(sizes))


def test_the_studys_lines_are_scipys_on_the_arrays(contest: Path) -> None:
    found = study("contest", contest / "data", {"grouping": "depth", "targets": ["test_accuracy"]}).findings
    cells = {(cell.table_id, cell.row.rpartition(" / ")[2], cell.column): cell for cell in found.cells}
    x = np.array([log_norm(i) for i in range(24)])
    test = np.array([0.99 - 0.001 * i - gap(i) for i in range(24)])
    for name, chosen in (("POOLED", np.ones(24, bool)), ("depth 3", np.array([g[0] == 3 for g in GRID]))):
        line = stats.linregress(x[chosen], test[chosen])
        assert cells["C_T5", name, "R2 LogFrobeniusNorm"].value == pytest.approx(line.rvalue**2)
        assert cells["C_T5", name, "slope LogFrobeniusNorm"].value == pytest.approx(line.slope)
        tau = stats.kendalltau(x[chosen], test[chosen]).statistic
        assert cells["C_T5", name, "tau LogFrobeniusNorm"].value == pytest.approx(tau)
    assert ("C_T2", "POOLED", "tau training vs test") in cells


def test_the_contests_score_ranks_the_planted_metric_first(contest: Path) -> None:
    found = study("contest", contest / "data").findings
    scores = {cell.row.rpartition(" / ")[2]: cell for cell in found.cells if cell.column == "cmi_official"}
    assert max(scores, key=lambda name: scores[name].value) in ("LogFrobeniusNorm", "LogSpectralNorm")
    assert scores["LogFrobeniusNorm"].value > 2 * scores["QualityOfAlphaFit"].value
    assert {cell.n for cell in scores.values()} == {24}
    (note,) = [note for note in found.notes if "score of the contest" in note]
    assert set(note.rpartition("hyperparameters: ")[2].split(", ")) == {"depth", "batch_size", "dropout"}


def test_distance_from_initialisation(contest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = contest / "contest" / "input_data" / TASK / "model_3"
    capsys.readouterr()
    assert main(["compare", str(place / "weights_init.hdf5"), str(place / "weights.hdf5"), "format=json"]) == 0
    rows = {row["longname"].partition("/")[0]: row for row in json.loads(capsys.readouterr().out)}
    before, after = kernels(1003, GRID[3][0], 1.0), trained(3)
    for name, row in rows.items():
        first, second = before[name].astype("f8"), after[name].astype("f8")
        assert row["distance"] == pytest.approx(np.linalg.norm(second - first) / np.linalg.norm(first), rel=1e-6)
    assert len(rows) == len(after)
