"""Sketches: unbiased with the variance that is stated, linear, the same for all dtypes; reductions against scipy."""

from __future__ import annotations

import dataclasses
import math

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

from zoospectra.analysis.reductions import Reductions, reductions, sketch_and_reductions, sketches_and_reductions
from zoospectra.analysis.sketch import ELEMENTS, K, Sketch, sketch

SIZES = [1, 63, 64, 65, 1000, ELEMENTS - 1, ELEMENTS, ELEMENTS + 1, 3 * ELEMENTS + 17]


def variance(x2: float, y2: float, xy: float) -> float:
    """The bound that analysis/sketch.py states."""
    return (x2 * y2 + xy**2) / K


def project(x: np.ndarray) -> np.ndarray:
    return sketch(x).whole


def matrix(n: int) -> np.ndarray:
    """S (K, n), a column a basis vector."""
    return np.stack([project(row) for row in np.eye(n, dtype=np.float32)], axis=1)


def test_every_element_goes_to_one_bucket_with_a_sign() -> None:
    for n in (1, 64, 200):
        S = matrix(n)
        assert set(np.unique(S)) <= {-1.0, 0.0, 1.0}
        assert (np.abs(S).sum(axis=0) == 1).all()
        assert not np.array_equal(S[:, : n // 2], matrix(n + 1)[:, : n // 2]) or n == 1, "another size, another S"


def by_elements(x: np.ndarray) -> np.ndarray:
    """S x element by element: what stored sketches were made by, and must be made by until SKETCH_VERSION changes."""
    n, blocks = len(x), min(1024, max(1, math.ceil(len(x) / 64)))
    stream = np.random.Philox(key=n)
    order = sorted(range(blocks), key=stream.random_raw(blocks).tolist().__getitem__)
    shift = np.zeros(blocks, dtype=int)
    for place, block in enumerate(order):
        shift[block] = place % 64
    words = stream.random_raw(blocks).tolist()
    turns = np.random.Philox(key=[n, 1]).random_raw(max(1, math.ceil(n / 65536))).tolist()
    element = np.arange(n)
    block, place = element % 65536 // 64, element % 64
    bits = [[word >> (8 * (i // 8) + 7 - i % 8) & 1 for i in range(64)] for word in words]
    bit = np.array(bits, dtype=np.int8)[block, place]
    turned, odd = np.array([turn // 2 % 64 for turn in turns]), np.array([turn % 2 for turn in turns])
    signs = (2 * bit - 1) * (2 * odd - 1)[element // 65536]
    buckets = (place + shift[block] + turned[element // 65536]) % 64
    return np.bincount(buckets, weights=signs * x.astype(np.float64), minlength=64)


@pytest.mark.parametrize("n", [*SIZES, 2 * ELEMENTS])
def test_stored_sketches_stay_what_they_are(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n).astype(np.float32)
    np.testing.assert_allclose(project(x), by_elements(x), atol=2e-6 * np.linalg.norm(x))


def test_sketches_of_sums_complex_ones_and_what_is_not_finite() -> None:
    x = np.random.default_rng(1).normal(size=(6, 5, 3)).astype(np.float32)
    rows, columns = (x.sum(axis=axes, dtype=float).ravel() for axes in ((1, 2), 0))
    found = sketch(x)
    np.testing.assert_allclose(found.rows, by_elements(rows - rows.mean()), atol=1e-4)
    np.testing.assert_allclose(found.columns, by_elements(columns - columns.mean()), atol=1e-4)
    gap = x.copy()
    gap[1, 2, 0], gap[3, 1, 1], gap[4, 0, 2] = np.nan, np.inf, -np.inf
    for name in ("whole", "rows", "columns"):
        assert (
            getattr(sketch(gap), name).tobytes()
            == getattr(sketch(np.nan_to_num(gap, posinf=0, neginf=0)), name).tobytes()
        )
        z = (x + 1j * x[::-1]).astype(np.complex64)
        parts = z.view(np.float32).reshape(6, 5, 3, 2)
        assert getattr(sketch(z), name).tobytes() == getattr(sketch(parts), name).tobytes()
    assert reductions(z) == reductions(parts)
    for flat in (x.ravel(), np.zeros((0, 3)), np.float32(2.0)):
        assert (sketch(np.asarray(flat)).rows, sketch(np.asarray(flat)).columns) == (None, None)
    assert np.abs(sketch(np.asarray(np.float32(2.0))).whole).sum() == 2.0


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


def bits(linear: Sketch, plain: Reductions) -> list[object]:
    parts = [None if part is None else part.tobytes() for part in (linear.whole, linear.columns, linear.rows)]
    return [*parts, *(value.hex() if isinstance(value, float) else value for value in dataclasses.astuple(plain))]


@pytest.mark.parametrize("shape", [
    (), (1,), (7,), (3, 0), (1, 1), (257,), (64, 65), (16, 3, 3, 3), (2, 9000), (300, 200), (1, ELEMENTS),
    (ELEMENTS + 1, 1),
])  # fmt: skip
def test_tensors_together_have_the_bits_of_each_alone(shape: tuple[int, ...]) -> None:
    """More of one shape than a stack holds, of every kind that takes a way of its own, other shapes between them."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=shape).astype(np.float32)
    odd = [np.where(rng.random(shape) < 0.1, value, x) for value in (0.0, np.nan, np.inf, -np.inf, 1e30, 1e-45)]
    plain = [np.full(shape, value, np.float32) for value in (0.0, -0.0, 0.1, np.nan, np.inf, 3e38)]
    far = [x + np.float32(mean) for mean in (0.09, 0.1, -50.0)]
    scaled = [x * np.float32(scale) for scale in (1e-42, 1e-20, 1e20, 1e37, 7e37)]
    stored = [x.astype(kind) for kind in (np.float16, ml_dtypes.bfloat16, np.float64, np.complex64, np.int8)]
    orders = [np.asfortranarray(x), x[::-1], np.repeat(x, 2, axis=-1)[..., ::2]] if shape else []
    rounded = [np.round(3 * x), np.abs(x)]
    kinds = [x, *odd, *plain, *far, *scaled, *stored, *orders, *rounded]
    several = kinds + [x + np.float32(n) for n in range(9 if x.size else 0)]
    mixed = [part for n, array in enumerate(several) for part in (array, np.ones((1 + n % 3, 5)))]
    with np.errstate(over="ignore", invalid="ignore"):
        alone = [bits(sketch(array), reductions(array)) for array in several]
    assert [bits(*both) for both in sketches_and_reductions(mixed)[::2]] == alone


@pytest.mark.parametrize("shape", [
    (1,), (2,), (1, 7), (255,), (256,), (257,), (511,), (512,), (16, 256), (64, 65), (ELEMENTS + 9,),
    (3, 4, 5, 6),
])  # fmt: skip
@pytest.mark.parametrize("values", [3, 257])
def test_counts_are_those_of_a_loop(shape: tuple[int, ...], values: int) -> None:
    rng = np.random.default_rng(values)
    x = rng.integers(0, values, shape).astype(np.float32)
    x *= rng.random(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) > 0.3  # dead rows
    flat, found = x.ravel(), reductions(x)
    run, runs = min(256, x.size), min(16, max(1, x.size // 256))
    starts = [int(i * (x.size - run) / max(1, runs - 1)) for i in range(runs)]
    repeats = 0
    for start in starts:
        part = flat[start : start + run]
        repeats += np.count_nonzero(part) - len(np.unique(part[part != 0]))
    assert found.repeats == pytest.approx(repeats / (run * runs) if x.size > 1 else 0.0)
    assert found.distinct == min(257, len(np.unique(x)))
    assert found.zeros == pytest.approx(np.mean(x == 0))
    dead = [sum(not np.take(x, i, axis=axis).any() for i in range(x.shape[axis])) for axis in range(min(2, x.ndim))]
    assert (found.dead_rows, found.dead_columns) == (dead[0], (*dead, 0)[1])
    spread = flat.std(dtype=float)
    # Powers are summed in float32 by BLAS, whose error depends on how many partial sums a processor keeps.
    assert (found.mean, found.std) == pytest.approx((flat.mean(dtype=float), spread), rel=5e-5, abs=1e-5 * spread)
    assert (found.min, found.max, found.non_finite) == (x.min(), x.max(), 0.0)
    turned = reductions(5.0 - x)
    assert (turned.min, turned.max) == (5.0 - x.max(), 5.0 - x.min())


def test_moments_of_parts_that_differ_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(8)
    for far in (3.0, -40.0):
        x = np.concatenate([rng.gamma(2.0, size=ELEMENTS), far + 2.0 * rng.normal(size=ELEMENTS + 99)]).astype(
            np.float32
        )
        got, wide = reductions(x), x.astype(np.float64)
        assert (got.mean, got.std) == pytest.approx((wide.mean(), wide.std()), rel=1e-5)
        assert got.kurtosis == pytest.approx(scipy.stats.kurtosis(wide, fisher=False), rel=1e-4)


def test_reductions_count_damage() -> None:
    x = np.random.default_rng(6).normal(size=(40, 50, 3)).astype(np.float32)
    x[3], x[7], x[:, 5], x[0, 0, 0], x[1, 1, 1] = 0.0, 0.0, 0.0, np.nan, np.inf
    got = reductions(x)
    assert (got.dead_rows, got.dead_columns) == (2, 1)
    assert got.non_finite == pytest.approx(2 / x.size)
    assert got.zeros == pytest.approx(np.count_nonzero(x == 0) / x.size)
    assert got.mean == pytest.approx(float(np.nanmean(np.where(np.isinf(x), np.nan, x))), abs=1e-6)
    assert np.isfinite(sketch(x).whole).all()
    for odd in (np.inf, -np.inf, np.nan):
        got = reductions(np.array([1.0, odd, 3.0]))
        assert (got.mean, got.std, got.min, got.max, got.distinct) == (2.0, 1.0, 1.0, 3.0, 2)
        assert got.non_finite == pytest.approx(1 / 3)
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
