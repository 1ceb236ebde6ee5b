"""The table of methods: named as they are registered, no column twice, and every one survives every hostile layer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.methods import METHODS, method
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import unfold

ROOT = Path(__file__).resolve().parents[2]
# norms_2021 redefines columns of norms: no profile has both.
TOGETHER = [name for name in METHODS if name != "norms_2021"]
FEW = {"gof": {"replicates": 3}, "bootstrap": {"replicates": 3}}

LAYERS = {
    "zero": np.zeros((60, 50)),
    "rank_one": np.outer(np.arange(1, 61), np.arange(1, 51)) * 0.01,
    "identity": np.eye(64),
    "orthogonal": np.linalg.qr(np.random.default_rng(0).normal(size=(80, 60)))[0],
    "one_row": np.arange(1.0, 90.0)[None],
    "two_columns": np.random.default_rng(1).normal(size=(70, 2)),
    "tiny": np.random.default_rng(2).normal(size=(70, 60)) * 1e-30,
    "huge": np.random.default_rng(3).normal(size=(70, 60)) * 1e30,
    "enormous": np.random.default_rng(4).normal(size=(70, 60)) * 1e148,
    "mixed": np.diag(10.0 ** np.linspace(-150, 150, 60)),
    "tied": np.kron(np.eye(10), np.random.default_rng(5).normal(size=(8, 6))),
    "dead_columns": np.where(np.arange(60) < 30, 0, np.random.default_rng(6).normal(size=(70, 60))),
    "conv": np.random.default_rng(7).standard_t(3, size=(40, 30, 2, 2)),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is(name) -> None:
    found = method(name)
    assert found.name == name
    assert found.citation
    assert found.cost
    assert set(found.needs) <= {"spectrum", "fit", "shuffled", "tail"}
    for column in found.columns:
        assert column.type in ("double", "bigint", "varchar", "boolean")
        assert column.unit
        assert column.doc


def test_no_column_has_two_owners() -> None:
    Profile(name="all", replicas=1, methods=tuple(TOGETHER))


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="alpha_norms"):
        method("nonsense")


PACKAGE = """
from zoospectra.analysis.records import Column, Method
gap = Column("gap", "double", "1", "largest over second largest eigenvalue")
METHOD = Method("gap", (gap,), "folklore", ("spectrum",), "1 us", lambda esd, fit, options: {"gap": 2.0})
"""


def test_an_installed_package_brings_its_own_method(tmp_path) -> None:
    """Its METHOD under the entry point group; what is no Method is refused by name."""
    (tmp_path / "gap_metric.py").write_text(PACKAGE)
    info = tmp_path / "gap_metric-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gap-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoospectra.metrics]\ngap = gap_metric:METHOD\nbad = gap_metric:PACKAGE\n")
    (tmp_path / "gap_metric.py").write_text(PACKAGE + "PACKAGE = 3\n")
    code = """
from zoospectra.analysis.methods import method
from zoospectra.analysis.profile import Profile
print(Profile(name="x", methods=("norms", "gap")).methods, method("gap").columns[0].name)
for name in ("bad", "none"):
    try:
        method(name)
    except ValueError as error:
        print(error)
"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    found, bad, unknown = run.stdout.splitlines()
    assert found == "('norms', 'gap') gap"
    assert "bad = gap_metric:PACKAGE: expected a Method, got int" in bad
    assert "gap, gof" in unknown


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_method_survives_every_layer(kind, name, pool) -> None:
    layer_type = "conv2d" if LAYERS[kind].ndim == 4 else "dense"
    slices = unfold(LAYERS[kind], layer_type)
    shuffled = np.random.default_rng(0).permuted(slices.reshape(len(slices), -1), axis=1).reshape(slices.shape)
    profile = Profile(
        name="x", min_evals=1, pool=pool, replicas=1, methods=(name,), options={name: FEW[name]} if name in FEW else {}
    )
    analysis = analyse_layer(spectrum(slices), layer_type, profile, shuffled=[spectrum(shuffled)], seed=1)
    for row in (analysis.layer, *analysis.slices):
        values = [row[column.name] for column in method(name).columns]
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in values)
