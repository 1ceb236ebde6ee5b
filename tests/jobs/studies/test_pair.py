"""Two models' layers: a planted shift is found where it was put, and too little data says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.jobs.studies.ask import study
from tests.jobs.studies.conftest import keep, metric
from zoospectra.analysis.studies.record import Cell, Findings
from zoospectra.warehouse.build import build

ROLES = ("q", "k", "mlp")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve layers a model; the mlp layers of b are 2 higher, a third model has one layer only."""
    directory = tmp_path_factory.mktemp("pair") / "data"
    rng = np.random.default_rng(0)
    for name, count in (("a", 36), ("b", 36), ("tiny", 1)):
        layers, rows = [], []
        for i in range(count):
            role = ROLES[i % 3]
            alpha = 4.0 + 0.2 * rng.normal() + (3.0 if name == "b" and role == "mlp" else 0.0)
            kind = "dense" if role == "mlp" else "dense_part"
            base = {"model_id": f"z/{name}", "revision": "r", "layer_id": i, "longname": f"l{i}", "tensor": f"t{i}"}
            layers.append(base | {"layer_type": kind, "group": role, "content_hash": f"{name}{i}"})
            rows.append(metric(f"{name}{i}", alpha, 0.0))
        keep(directory, "layers", "r", layers, model=f"z/{name}")
        keep(directory, "layer_metrics", "m", rows, model=f"z/{name}")
    build(directory)
    return directory


def cells(found: Findings) -> dict[tuple[str, str], Cell]:
    return {(cell.row.partition(" / ")[2], cell.column): cell for cell in found.cells}


def test_the_shift_is_found_in_its_role_and_nowhere_else(pair: Path) -> None:
    found = study("pair", pair, {"model": "z/b", "other": "z/a"}).findings
    by = cells(found)
    assert by["role mlp", "shift of median"].verdict == "higher"
    assert {by[f"role {role}", "shift of median"].verdict for role in "qk"} == {"undetermined"}
    assert by["role mlp", "share above 6"].value == 1.0
    assert by["role mlp", "share above 6, other"].value == 0.0
    assert by["role mlp", "share p"].value == pytest.approx(2 / 2704156)  # of all divisions of 24 into 12 and 12
    assert by["all layers", "layers"].value == 12.0  # q and k are parts of a fused matrix
    assert by["first third", "layers"].value == 4.0
    tested = [cell.value for cell in found.cells if cell.column == "permutation p"]
    adjusted = [cell.value for cell in found.cells if cell.column == "permutation p, adjusted"]
    assert adjusted == pytest.approx(stats.false_discovery_control([p for p in tested if p is not None]))
    left_out = {row["excluded_by"] for row in found.design}
    assert left_out == {None, "part of a fused matrix: counts by role only"}


def test_too_little_data_says_so(pair: Path) -> None:
    found = study("pair", pair, {"model": "z/a", "other": "z/tiny"}).findings
    assert {cell.verdict for cell in found.cells if cell.column == "layers"} == {"too few layers"}
    assert cells(found)["role q", "layers"].reason == "too few layers: 12 and 1, at least 4 are needed of each"
    assert "3 models have layers with a fit" in study("pair", pair).findings.notes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "z/a"}, "expected study.model=GLOB and study.other=GLOB"),
        ({"model": "z/*", "other": "z/a"}, "matches 3 models"),
        ({"model": "z/none", "other": "z/a"}, "matches 0 models with a fit, expected one: z/a"),
        ({"smallest": 2}, "smallest=2: expected at least 4"),
        ({"profile": "none"}, "profile=none: expected some of weightwatcher"),
    ],
)
def test_misuse(pair: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        study("pair", pair, options)
