"""Rules by name, with options; the Fourier rule against the matrix of the map itself, in one to three dimensions."""

from __future__ import annotations

import itertools
from itertools import product

import numpy as np
import pytest

from zoospectra.analysis.unfold import RULES, farms, fft, matrices, unfold, unfold_rule
from zoospectra.analysis.unfold.shuffled import shuffle


@pytest.mark.parametrize(("kernel", "n"), [((2, 3, 2, 3, 2), 3), ((3, 2, 4), 3), ((2, 2, 1, 1), 1)])
def test_singular_values_are_those_of_the_circulant_map(kernel: tuple[int, ...], n: int) -> None:
    weights = np.random.default_rng(0).normal(size=kernel)
    out, inner, *size = kernel
    places = list(product(range(n), repeat=len(size)))
    whole = np.zeros((out * len(places), inner * len(places)))
    for (i, place), offset in product(enumerate(places), product(*map(range, size))):
        k = places.index(tuple((a + b) % n for a, b in zip(place, offset, strict=True)))
        whole[i * out : (i + 1) * out, k * inner : (k + 1) * inner] += weights[:, :, *offset]
    layer_type = f"conv{len(size)}d"
    shape, found = fft.shape_of(kernel, layer_type, n), fft.unfold(weights, layer_type, n)
    assert found.shape == (shape.rf, shape.N, shape.M) == (len(places), max(out, inner), min(out, inner))
    mine = np.sort(np.linalg.svd(found, compute_uv=False), axis=None)
    theirs = np.sort(np.linalg.svd(whole, compute_uv=False))
    assert mine == pytest.approx(theirs[-len(mine) :], abs=1e-10)
    assert found.dtype == np.complex128
    assert fft.unfold(weights.astype(np.float32), layer_type, n).dtype == np.complex64


def covering(length: int, window: int, stride: int) -> list[int]:
    """Fewest evenly spaced first positions at most `stride` apart, both ends included."""
    room = length - window
    for count in range(room + 2):
        places = [i * room // count for i in range(count + 1)] if count else [0]
        if places[-1] == room and all(b - a <= stride for a, b in itertools.pairwise(places)):
            return places
    raise AssertionError


@pytest.mark.parametrize(("N", "M"), [(12, 9), (9, 9), (20, 3), (2, 1), (1, 1)])
def test_windows_cover_the_matrix(N: int, M: int) -> None:
    weights = np.arange(2.0 * N * M).reshape(2, N * M)[1].reshape(N, M)
    for aspect, size, stride in product((1.0, 1.5, 2.0), (None, 1, 2, 5, 9), (None, 1, 2, 4)):
        m = min(M, int(N / aspect)) if size is None else size
        n = round(aspect * m)
        if size is None:
            n = min(n, N)
        options = {"aspect": aspect, "size": size, "stride": stride}
        if m > M or n > N or m < 1:
            with pytest.raises(ValueError, match="do not fit"):
                farms.unfold(weights, "dense", **options)
            continue
        rows, columns = covering(N, n, stride or n), covering(M, m, stride or m)
        found = farms.unfold(weights, "dense", **options)
        assert np.array_equal(found, [weights[i : i + n, j : j + m] for i in rows for j in columns])
        shape = farms.shape_of((N, M), "dense", **options)
        assert (shape.rf, shape.N, shape.M) == (len(rows) * len(columns), n, m)


def test_windows_by_default_and_misuse() -> None:
    weights = np.random.default_rng(3).normal(size=(12, 9))
    assert np.array_equal(farms.unfold(weights, "dense"), farms.unfold(weights, "dense", 1.0, None, None))
    assert farms.shape_of((12, 9), "dense") == farms.shape_of((12, 9), "dense", 1.0)
    assert farms.windows(12, 9) == farms.windows(12, 9, 1.0)
    names = [farms.rule(**one).name for one in ({}, {"size": 3}, {"aspect": 2.0, "stride": 4})]
    assert names == ["farms(aspect=1.0)", "farms(aspect=1.0,size=3)", "farms(aspect=2.0,stride=4)"]
    for aspect, size, stride in ((0.99, 2, 1), (1.0, 2, 0), (float("nan"), 2, 1)):
        with pytest.raises(ValueError, match="aspect must be at least 1"):
            farms.windows(12, 9, aspect, size, stride)
    for aspect, size, stride in ((1.0, 0, 1), (1.0, 10, 1), (7.0, 2, 1)):
        with pytest.raises(ValueError, match="do not fit"):
            farms.windows(12, 9, aspect, size, stride)


def test_the_side_of_the_map() -> None:
    assert fft.shape_of((4, 3, 3, 3), "conv2d") == fft.shape_of((4, 3, 3, 3), "conv2d", 32)
    assert unfold_rule("fft").shape_of((4, 3, 3, 3), "conv2d").rf == 32**2
    assert unfold_rule("fft(n=1)").shape_of((4, 3, 3, 3), "conv2d").rf == 1
    weights = np.random.default_rng(1).normal(size=(4, 3, 3, 3))
    assert len(unfold(weights, "conv2d", "fft")) == len(unfold(weights, "conv2d", "fft( n = 32 )")) == 32**2
    assert unfold_rule("fft(n=6)").name == "fft(n=6)"
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            unfold_rule(f"fft(n={wrong})")


@pytest.mark.parametrize("name", ["fft(m=3)", "fft(n=)", "farms(size=x)", "farms(size)"])
def test_options_that_no_rule_has(name: str) -> None:
    with pytest.raises(ValueError, match="cannot read the options of unfold rule"):
        unfold_rule(name)


@pytest.mark.parametrize("name", ["nothing", "slices(n=3)", "fft(", "stacked()"])
def test_rules_that_do_not_exist(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown unfold rule .*; known rules: farms, fft, slices, stacked"):
        unfold_rule(name)


def test_names_of_rules_and_copies() -> None:
    weights = np.random.default_rng(2).normal(size=(6, 5, 3, 3))
    assert {name: unfold_rule(name).name for name in RULES} == {name: name for name in RULES}
    for name in RULES:
        layer = unfold(weights, "conv2d", name)
        assert np.array_equal(matrices(weights, "conv2d", name, seed=4), layer)
        assert np.array_equal(matrices(weights, "conv2d", f"{name}+shuffled2", seed=4), shuffle(layer, 4, 2))
    assert np.array_equal(unfold(weights, "conv2d"), unfold(weights, "conv2d", "slices"))
    two = "farms(aspect=2.0,size=3)"
    assert unfold_rule(two).shape_of((12, 9), "dense") == farms.rule(aspect=2.0, size=3).shape_of((12, 9), "dense")
