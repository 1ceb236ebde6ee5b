"""Sketches: unbiased with the variance that is stated, linear, the same for all dtypes; reductions against scipy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

from zoospectra.analysis.reductions import reductions, sketch_and_reductions
from zoospectra.analysis.sketch import ELEMENTS, K, project, sketch

SIZES = [1, 63, 64, 65, 1000, ELEMENTS - 1, ELEMENTS, ELEMENTS + 1, 3 * ELEMENTS + 17]


def variance(x2: float, y2: float, xy: float) -> float:
    """The bound that analysis/sketch.py states."""
    return (x2 * y2 + xy**2) / K


def matrix(n: int) -> np.ndarray:
    """S (K, n), a column a basis vector."""
    return np.stack([project(row) for row in np.eye(n, dtype=np.float32)], axis=1)


def test_every_element_goes_to_one_bucket_with_a_sign() -> None:
    for n in (1, 64, 200):
        S = matrix(n)
        assert set(np.unique(S)) <= {-1.0, 0.0, 1.0}
        assert (np.abs(S).sum(axis=0) == 1).all()
        assert not np.array_equal(S[:, : n // 2], matrix(n + 1)[:, : n // 2]) or n == 1, "another size, another S"


@pytest.mark.parametrize("n", SIZES)
def test_a_sketch_is_linear(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n).astype(np.float32), rng.normal(size=n).astype(np.float32)
    mixed = (0.5 * x + 2.0 * y).astype(np.float32)
    tolerance = 1e-5 * np.linalg.norm(mixed)
    np.testing.assert_allclose(project(mixed), 0.5 * project(x) + 2.0 * project(y), atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(project(x)) ** 2, np.linalg.norm(x) ** 2, rtol=8 * np.sqrt(2 / K))


def test_the_variance_is_at_most_what_is_stated() -> None:
    """Over drawings of S, which sizes are: vectors of growing size whose norms and product stay as they are.

    Normal values, one outlier column in 64, and equal superblocks: the structures that a bad hash would fail on.
    """
    rng = np.random.default_rng(0)
    for make in ("normal", "column", "same rows"):
        x, y = rng.normal(size=3000), rng.normal(size=3000)
        if make == "column":
            x[::64] *= 30.0
            y[::64] *= 30.0
        if make == "same rows":
            x, y = np.resize(x[:64], 3000), np.resize(y[:64], 3000)
        y = y + 0.5 * x
        estimates = [float(project(np.pad(x, (0, pad))) @ project(np.pad(y, (0, pad)))) for pad in range(150)]
        bound = variance(float(x @ x), float(y @ y), float(x @ y))
        error = np.mean(estimates) - float(x @ y)
        assert abs(error) < 4.0 * np.sqrt(bound / 150), "unbiased"
        spread = np.var(estimates) / bound
        assert spread < 1.0 + 4.0 * np.sqrt(2 / 150), f"{make}: {spread:.2f} of the bound"


def test_superblocks_that_repeat_stay_within_the_bound() -> None:
    """A rank-one tensor whose rows are superblocks: the drawing that serves all of them must not add up."""
    rng = np.random.default_rng(1)
    estimates = []
    for pad in range(24):
        u, v, w = rng.normal(size=3), rng.normal(size=ELEMENTS), rng.normal(size=ELEMENTS)
        x, y = np.outer(u, v).ravel(), np.outer(u, w).ravel()
        x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
        estimates.append(float(project(np.pad(x, (0, pad))) @ project(np.pad(y, (0, pad)))))
    assert np.var(estimates) < 2.0 * variance(1.0, 1.0, 0.0)


def test_the_same_values_have_the_same_sketch_in_every_dtype_and_layout() -> None:
    values = np.random.default_rng(3).normal(size=(70, 90, 3)).astype(ml_dtypes.bfloat16)
    single = values.astype(np.float32)
    for other in (values, single.astype(np.float64), np.asfortranarray(single), single[::-1][::-1]):
        for name in ("whole", "rows", "columns"):
            assert getattr(sketch(other), name).tobytes() == getattr(sketch(single), name).tobytes()
    halves = values.astype(np.float16)
    assert sketch(halves).whole.tobytes() == sketch(halves.astype(np.float64)).whole.tobytes()


def test_marginal_sketches_do_not_see_the_order() -> None:
    rng = np.random.default_rng(4)
    W = rng.normal(size=(96, 128, 3, 3))
    base, turned = sketch(W), sketch(W[rng.permutation(96)])
    assert np.corrcoef(base.whole, turned.whole)[0, 1] < 0.5
    np.testing.assert_allclose(turned.columns, base.columns, rtol=0, atol=1e-3)
    turned = sketch(W[:, rng.permutation(128)])
    np.testing.assert_allclose(turned.rows, base.rows, rtol=0, atol=1e-3)


def test_reductions_are_those_of_scipy() -> None:
    rng = np.random.default_rng(5)
    for scale in (1e-30, 1e-6, 1.0, 1e30):
        x = (rng.standard_t(9, size=(300, 500)) * scale + 5 * scale).astype(np.float32)
        got, wide = reductions(x), x.astype(np.float64)
        assert got.mean == pytest.approx(wide.mean(), rel=1e-5)
        assert got.std == pytest.approx(wide.std(), rel=1e-5)
        assert got.kurtosis == pytest.approx(scipy.stats.kurtosis(wide.ravel(), fisher=False), rel=1e-4)
        assert (got.min, got.max) == (x.min(), x.max())
        assert (got.distinct, got.non_finite, got.zeros, got.dead_rows, got.dead_columns) == (257, 0, 0, 0, 0)


@pytest.mark.parametrize("shape", [(3 * ELEMENTS + 17,), (300, 700), (1, 70_000), (90, 30, 3, 3), (5,)])
@pytest.mark.parametrize("mean", [0.0, 0.5, 40.0])
def test_extremes_and_zeros_of_any_block_are_seen_and_both_in_one_pass_are_both(
    shape: tuple[int, ...], mean: float
) -> None:
    rng = np.random.default_rng(8)
    x = (rng.normal(size=shape) + mean).astype(np.float32)
    x.flat[rng.integers(x.size, size=9)] = [0.0, -0.0, 1e-30, -1e-30, -90.0, 90.0, 90.00001, -90.00001, 1e-45]
    plain, wide = reductions(x), x.astype(np.float64)
    assert (plain.min, plain.max, plain.zeros) == (x.min(), x.max(), np.count_nonzero(x == 0) / x.size)
    assert plain.mean == pytest.approx(wide.mean(), rel=1e-6, abs=1e-6)
    assert plain.std == pytest.approx(wide.std(), rel=1e-6)
    assert plain.kurtosis == pytest.approx(scipy.stats.kurtosis(wide.ravel(), fisher=False), rel=1e-4)
    for held in (x, np.where(x > 2.0, np.nan, x), x * np.float32(1e20), np.zeros_like(x)):
        linear, numbers = sketch_and_reductions(held)
        assert numbers == reductions(held)
        for name in ("whole", "columns", "rows"):
            part, alone = getattr(linear, name), getattr(sketch(held), name)
            assert (part is None and alone is None) or part.tobytes() == alone.tobytes()


def test_reductions_count_damage() -> None:
    x = np.random.default_rng(6).normal(size=(40, 50, 3)).astype(np.float32)
    x[3], x[7], x[:, 5], x[0, 0, 0], x[1, 1, 1] = 0.0, 0.0, 0.0, np.nan, np.inf
    got = reductions(x)
    assert (got.dead_rows, got.dead_columns) == (2, 1)
    assert got.non_finite == pytest.approx(2 / x.size)
    assert got.zeros == pytest.approx(np.count_nonzero(x == 0) / x.size)
    assert got.mean == pytest.approx(float(np.nanmean(np.where(np.isinf(x), np.nan, x))), abs=1e-6)
    assert np.isfinite(sketch(x).whole).all()
    nothing = reductions(np.full((4, 4), np.nan))
    assert (nothing.mean, nothing.min, nothing.non_finite, nothing.distinct) == (None, None, 1.0, 0)
    constant = reductions(np.full(300_000, 0.1))
    assert (constant.kurtosis, constant.distinct, constant.repeats) == (None, 1, pytest.approx(255 / 256))
    assert reductions(np.zeros(0)).distinct == 0
    late = np.zeros(200_000)
    late[150_001 : 150_001 + 300] = np.arange(300)
    assert reductions(late).distinct == 257
    assert reductions(late[: 150_001 + 100]).distinct == 100


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "complex64", "bfloat16", "float8_e4m3fn", "int8", "int64"]
)
@pytest.mark.parametrize("shape", [(0,), (7,), (96, 32), (300, 2000), (5000, 3), (3, 5, 3, 3)])
def test_whatever_bytes_a_tensor_holds_are_data(dtype: str, shape: tuple[int, ...]) -> None:
    """Warnings are errors in tests: sums beyond float32, signalling NaN and casts that overflow give none."""
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    for seed in range(2):
        raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * kind.itemsize)
        array = np.frombuffer(raw, dtype=kind).reshape(shape)
        assert sketch(array).whole.shape == (64,)
        with np.errstate(all="ignore"):
            finite = np.isfinite(array.astype(np.complex64 if kind.kind == "c" else np.float32))
        if kind.kind != "c":
            assert reductions(array).non_finite == pytest.approx(1.0 - finite.mean() if finite.size else 1.0)


def test_repeats_tell_a_grid_from_floats() -> None:
    x = np.random.default_rng(7).normal(size=(128, 512)).astype(np.float32)
    step = np.abs(x).max(axis=1, keepdims=True) / 127
    assert reductions(x).repeats == 0.0
    assert reductions(x.astype(np.float16)).repeats < 0.1
    assert 0.1 < reductions(x.astype(ml_dtypes.bfloat16)).repeats < 0.5
    assert reductions((np.round(x / step) * step).astype(np.float32)).repeats > 0.5
