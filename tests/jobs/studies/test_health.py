"""Collapse and health: what is planted is found, what is not is not, and a flag says how common it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.jobs.studies.ask import study
from tests.jobs.studies.conftest import write_catalog, write_model
from zoospectra.analysis.studies.collapse import robust_z
from zoospectra.analysis.studies.noise import entry_scale, excess
from zoospectra.jobs.main import main
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query


def run(name: str, warehouse: Path, **options):
    return study(name, warehouse, options).findings


def test_collapse_between_two_versions_names_the_layers_that_moved(tmp_path: Path) -> None:
    data = tmp_path / "data"
    alphas = [3.0 + 0.01 * i for i in range(8)]
    write_model(data, "toy/old", alphas, [0.01 * i for i in range(8)])
    moved = [0.01 * i + (1.0 if i in (2, 5) else 0.001 * i) for i in range(8)]
    write_model(data, "toy/new", alphas, moved)
    build(data)
    claims = {"log_spectral_norm": "base larger", "log_norm": "base smaller"}
    found = run("collapse", data, model="toy/new", base="toy/old", claims=claims)
    named = {cell.row for cell in found.cells if cell.verdict == "moved up"}
    assert named == {"weightwatcher / l2", "weightwatcher / l5"}
    means = {cell.row: cell for cell in found.cells if cell.table_id == "COLLAPSE_MEANS"}
    assert "reversed" in means["weightwatcher / mean log_spectral_norm"].reason
    assert means["weightwatcher / mean log_norm"].reason == "as claimed"
    with pytest.raises(ValueError, match="matches 2 models"):
        run("collapse", data, model="toy/*", base="toy/old")
    with pytest.raises(ValueError, match="base=toy/old: expected model=GLOB"):
        run("collapse", data, base="toy/old")


def test_collapse_within_a_model(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_model(data, "toy/a", [3.0] * 8, [0.1, 0.2, 0.15, -3.0, 0.12, 0.18, 0.22, 0.16])
    write_model(data, "toy/b", [3.0] * 3, [0.0, 0.1, -5.0])
    build(data)
    found = run("collapse", data)
    assert {cell.row for cell in found.cells} == {"weightwatcher / toy/a / l3"}
    assert any("too few to compare" in note for note in found.notes)


def test_robust_z() -> None:
    assert robust_z([1.0, 2.0, 3.0, 4.0, 100.0])[4] == pytest.approx(97 / 1.4826)
    assert robust_z([1.0, 1.0, 1.0, 9.0]) == [None] * 4
    assert robust_z([]) == []


def test_health_names_what_to_look_at(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_model(data, "toy/ill", [3.0, 7.5, 1.5, 3.1, 3.2, 3.3], [0.0, 0.1, 0.05, 0.02, 9.0, 0.04])
    write_model(data, "toy/well", [3.0, 3.1, 3.2, 3.3], [0.0, 0.1, 0.05, 0.02])
    build(data)
    found = run("health", data, model="toy/*")
    checks = {cell.row: cell for cell in found.cells if cell.table_id == "HEALTH" and cell.column == "layers"}
    assert {row for row, cell in checks.items() if cell.verdict == "look at it"} == {
        "weightwatcher / toy/ill / under-trained",
        "weightwatcher / toy/ill / over-trained",
        "weightwatcher / toy/ill / scale",
    }
    assert all(cell.reason and "threshold" in cell.reason for row, cell in checks.items() if "trained" in row)
    flagged = {cell.row for cell in found.cells if cell.table_id == "HEALTH_LAYERS"}
    assert flagged == {f"weightwatcher / toy/ill / l{i}" for i in (1, 2, 4)}
    assert "weightwatcher / toy/well: nothing to object to" in found.notes
    with pytest.raises(ValueError, match="matches no model"):
        run("health", data, model="nobody")


def noise_zoo(folder: Path, small: str | None = None) -> Path:
    """Two nets of N(0, 0.05^2) weights: nothing has collapsed, but the layer named, of a hundredth of the scale."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def entries(name: str, *shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * (0.0005 if name == small else 0.05)).astype(np.float32)

    convs = {f"layer{i}.conv.weight": (64, 64, 3, 3) for i in range(8)} | {"shortcut.conv.weight": (64, 64, 1, 1)}
    dense = {f"fc{i}.weight": (96 + i, 96) for i in range(8)} | {"big.weight": (1024, 1024)}
    for file, shapes in (("convs", convs), ("dense", dense)):
        save_file({name: entries(name, *shape) for name, shape in shapes.items()}, folder / f"{file}.safetensors")
    return folder


def scan(zoo: Path, data: Path) -> Path:
    words = ["zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "profiles=weightwatcher,natcomm2021"]
    assert main(["scan", "cluster=inline", *words]) == 0
    return data


def test_nothing_has_collapsed_where_every_weight_has_one_scale(tmp_path: Path) -> None:
    """The 1 x 1 shortcut was flagged at z = -354, for the size of the others' kernels."""
    data = scan(noise_zoo(tmp_path / "zoo"), tmp_path / "data")
    found = run("collapse", data)
    assert [cell.row for cell in found.cells] == []
    assert "weightwatcher: 0 collapsed layers in 0 of 2 models" in found.notes
    rows = query(data, "SELECT *, profile = 'natcomm2021' AS by_slice FROM layer_metrics").to_pylist()
    for row in rows:
        halved = row["layer_type"] == "conv2d" or row["profile"] == "natcomm2021"
        assert 10 ** entry_scale(row) == pytest.approx(0.05 * (0.5**0.5 if halved else 1), rel=0.03), row["longname"]
        assert excess(row) == pytest.approx(0.0, abs=0.04), row["longname"]
    flagged = [cell for cell in run("health", data).cells if cell.table_id == "HEALTH" and cell.column == "layers"]
    looked = {cell.row.rpartition(" / ")[2] for cell in flagged if cell.value and "weightwatcher" in cell.row}
    assert "noise" in looked
    assert "scale" not in looked


@pytest.mark.parametrize("name", ["layer3.conv.weight", "fc5.weight"])
def test_a_collapsed_layer_is_found_in_every_profile(tmp_path: Path, name: str) -> None:
    data = scan(noise_zoo(tmp_path / "zoo", small=name), tmp_path / "data")
    found = run("collapse", data)
    layer = name.removesuffix(".weight")
    model = "local/convs" if "conv" in name else "local/dense"
    expected = {f"{profile} / {model}.safetensors / {layer}" for profile in ("weightwatcher", "natcomm2021")}
    assert {cell.row.replace(f"{model} /", f"{model}.safetensors /") for cell in found.cells} == expected
    ratios = [cell.value for cell in found.cells if cell.column == "rms entry over kind's"]
    assert ratios == pytest.approx([0.01, 0.01], rel=0.05)
    others = [cell.value for cell in found.cells if "shuffled" in cell.column]
    assert others == pytest.approx([0.0, 0.0], abs=0.04)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 models of 4 layers: alpha is about 7 in all, 12 in the last layer of two, whose accuracy is the lowest."""
    data = tmp_path_factory.mktemp("population") / "data"
    rng = np.random.default_rng(0)
    models, rows = [], []
    for i in range(24):
        name = f"toy/net{i:02d}"
        alphas = [7.0 + 0.3 * rng.random() for _ in range(3)] + [12.0 + i if i < 2 else 5.0]
        write_model(data, name, alphas, rng.normal(0, 0.05, 4).tolist())
        models.append({"model_id": name, "name": name})
        rows.append({"model_id": name, "metric": "test_accuracy", "higher_is_better": True, "value": 60.0 + i})
    write_catalog(data, "s", models, rows)
    build(data)
    return data


def test_what_is_usual_for_its_kind_is_not_flagged(population: Path) -> None:
    """Every model has layers beyond WeightWatcher's 6; only what lies beyond its kind in the warehouse is looked at."""
    found = run("health", population)
    layers = {cell.row: cell.value for cell in found.cells if cell.table_id == "HEALTH" and cell.column == "layers"}
    hits = {row for row, count in layers.items() if count and row.endswith("under-trained")}
    assert hits == {"weightwatcher / toy/net01 / under-trained"}  # beyond the 99th percentile of 96 layers
    rates = {cell.row: cell.value for cell in found.cells if cell.column == "base rate"}
    assert rates["weightwatcher / toy/net05 / under-trained"] == pytest.approx(1 / 24)
    assert "weightwatcher: nothing to object to in 23 of 24 models" in found.notes  # no sentence each
    assert "weightwatcher: look at under-trained in 1: toy/net01" in found.notes
    one = run("health", population, model="toy/net01")
    assert {cell.row.split(" / ")[1] for cell in one.cells if cell.table_id == "HEALTH"} == {"toy/net01"}
    assert [cell for cell in one.cells if cell.column == "base rate"] == [
        cell for cell in found.cells if cell.column == "base rate" and "net01" in cell.row
    ]


def test_a_flag_that_most_models_have_says_nothing_about_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for i in range(12):
        write_model(data, f"toy/net{i:02d}", [7.5, 3.0], [0.0, 0.1])
    build(data)
    found = run("health", data, model="toy/net03")
    cells = {(cell.row, cell.column): cell for cell in found.cells}
    flag = cells["weightwatcher / toy/net03 / under-trained", "layers"]
    assert (flag.value, flag.verdict) == (1.0, "common")
    assert "flagged in 100% of the models here" in flag.reason
    assert "weightwatcher / toy/net03: nothing to object to" in found.notes


@pytest.mark.parametrize(("worse", "verdict"), [(True, "goes with quality"), (False, "goes the wrong way")])
def test_a_check_says_whether_its_flags_go_with_quality(tmp_path: Path, worse: bool, verdict: str) -> None:
    data = tmp_path / "data"
    models, rows = [], []
    for i in range(16):
        name = f"toy/net{i:02d}"
        ill = i % 4 == 0
        write_model(data, name, [7.5 if ill else 3.0, 1.5 if i % 3 == 0 else 3.0], [0.0, 0.1])
        models.append({"model_id": name, "name": name})
        value = 50.0 + i + (30.0 if ill is not worse else 0.0)
        rows.append({"model_id": name, "metric": "test_accuracy", "higher_is_better": True, "value": value})
    write_model(data, "toy/net99", [7.5, 1.5], [0.0, 0.1], contents=["toy/net00 r 0", "toy/net00 r 1"])
    models.append({"model_id": "toy/net99", "name": "net00 under a second name"})
    rows.append({**rows[0], "model_id": "toy/net99"})
    write_catalog(data, "s", models, rows)
    build(data)
    found = run("health", data)
    checks = {cell.row: cell for cell in found.cells if cell.table_id == "HEALTH_CHECKS" and "flagged" in cell.column}
    told = checks["weightwatcher / toy / test_accuracy / under-trained"]
    assert (told.verdict, told.value, told.n) == (verdict, 1.0 if worse else -1.0, 16)  # 17 names
    assert checks["weightwatcher / toy / test_accuracy / over-trained"].verdict == "predicts nothing here"
    assert any("flags that do not go with it here: " in note and "over-trained" in note for note in found.notes)
