"""Every method of this family on spectra that break formulas: stated columns and types, no NaN, no warning."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoospectra.analysis.metrics import erg, hill, marchenko_pastur, phase, randomized

METHODS = [module.METHOD for module in (erg, hill, marchenko_pastur, phase, randomized)]
TYPES = {"double": float, "bigint": int, "varchar": str, "boolean": bool}


def gaussian(scale: float) -> np.ndarray:
    return scale * np.random.default_rng(0).standard_normal((1, 60, 50))


LAYERS = {
    "zero": np.zeros((1, 60, 50)),
    "constant": np.ones((1, 60, 50)),
    "identity": np.eye(60)[None],
    "one eigenvalue": np.full((1, 5, 1), 0.3),
    "two eigenvalues": np.random.default_rng(0).standard_normal((1, 3, 2)),
    "one zero eigenvalue": np.zeros((1, 5, 1)),
    "rank one": np.outer(np.arange(1.0, 61.0), np.arange(1.0, 51.0))[None],
    "rank half": np.pad(np.random.default_rng(0).standard_normal((1, 60, 25)), ((0, 0), (0, 0), (0, 25))),
    "one entry": np.eye(60, 50)[None] * (np.arange(50) == 7),
    "tiny": gaussian(1e-30),
    "huge": gaussian(1e30),
    "subnormal": gaussian(1e-160),
    "one huge entry": gaussian(1.0) + np.pad(np.full((1, 1, 1), 1e30), ((0, 0), (0, 59), (0, 49))),
    "a zero slice among others": np.concatenate(
        [np.zeros((1, 20, 10)), np.random.default_rng(0).standard_normal((8, 20, 10))]
    ),
    "slices of one column": np.random.default_rng(0).standard_normal((9, 16, 1)),
    "float32 noise floor": np.concatenate([gaussian(1.0)[:, :, :10], gaussian(1e-8)[:, :, :40]], axis=2),
}


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
@pytest.mark.parametrize("name", LAYERS)
def test_columns_and_types_hold(method, name, esd_of, fit_of):
    esd = esd_of(LAYERS[name], replicas=2)
    row = method.run(esd, fit_of(esd.evals), {})
    assert list(row) == [column.name for column in method.columns]
    for column in method.columns:
        value = row[column.name]
        assert value is None or type(value) is TYPES[column.type], (column.name, value)
        assert not isinstance(value, float) or math.isfinite(value), (column.name, value)


@pytest.mark.parametrize("name", ["zero", "one zero eigenvalue"])
def test_a_zero_layer_has_nothing_to_say(name, esd_of, fit_of):
    esd = esd_of(LAYERS[name], replicas=2)
    for method in METHODS:
        row = method.run(esd, fit_of(esd.evals), {})
        assert {value for key, value in row.items() if key != "rand_replicas"} == {None}, method.name


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_dimensionless_columns_do_not_see_the_scale(scale, esd_of, fit_of):
    one, other = (esd_of(gaussian(s), replicas=2) for s in (1.0, scale))
    for method in METHODS:
        row, scaled = (method.run(esd, fit_of(esd.evals), {}) for esd in (one, other))
        for column in method.columns:
            if column.unit not in ("1", "count"):
                continue
            if isinstance(row[column.name], float | int):
                assert scaled[column.name] == pytest.approx(row[column.name], rel=1e-6), column.name
            else:
                assert scaled[column.name] == row[column.name], column.name


def test_methods_declare_themselves_once():
    names = [method.name for method in METHODS]
    columns = [column.name for method in METHODS for column in method.columns]
    assert len(set(names)) == len(names)
    assert len(set(columns)) == len(columns)
    for method in METHODS:
        assert all(column.doc and column.unit and column.type in TYPES for column in method.columns)
        assert set(method.needs) <= {"spectrum", "fit", "shuffled", "tail"}
