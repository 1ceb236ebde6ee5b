"""Rules by name, with options; the Fourier rule against the matrix of the map itself, in one to three dimensions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from zoospectra.analysis.unfold import RULES, farms, fft, matrices, unfold, unfold_rule
from zoospectra.analysis.unfold.shuffled import shuffle


@pytest.mark.parametrize(("kernel", "n"), [
    ((3, 2, 3), 5), ((2, 3, 4), 3), ((2, 2, 3, 2), 4), ((3, 2, 5, 5), 3), ((2, 3, 2, 3, 2), 3), ((2, 2, 1, 1), 1),
])  # fmt: skip
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
