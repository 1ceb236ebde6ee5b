"""Slices: views of the right numbers in the right order, planned from the shape alone."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.unfold import RULES, unfold, unfold_rule
from zoospectra.analysis.unfold.slices import shape_of


@pytest.mark.parametrize(
    ("shape", "layer_type", "expected"),
    [
        ((5, 3), "dense", (1, 5, 3)),
        ((3, 5), "dense", (1, 5, 3)),
        ((7, 2), "embedding", (1, 7, 2)),
        ((1, 1), "dense", (1, 1, 1)),
        ((6, 4, 3, 2), "conv2d", (6, 6, 4)),
        ((4, 6, 3, 2), "conv2d", (6, 6, 4)),
        ((8, 1, 3, 3), "conv2d", (9, 8, 1)),
        ((6, 4, 5), "conv1d", (5, 6, 4)),
        ((6, 4, 2, 3, 4), "conv3d", (24, 6, 4)),
    ],
)
def test_the_plan_is_what_happens_and_nothing_is_copied(shape, layer_type, expected) -> None:
    array = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
    slices = unfold(array, layer_type)
    assert slices.shape == expected
    assert np.shares_memory(slices, array)
    assert slices.dtype == array.dtype
    plan = shape_of(shape, layer_type)
    assert (plan.rf, plan.N, plan.M) == expected


def test_a_slice_is_one_kernel_position_in_c_order() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 5, 2, 4))
    slices = unfold(kernel, "conv2d")
    for i in range(2):
        for j in range(4):
            assert np.array_equal(slices[i * 4 + j], kernel[:, :, i, j].T)


@pytest.mark.parametrize(
    ("shape", "layer_type"),
    [((3,), "dense"), ((), "dense"), ((2, 3, 4), "dense"), ((0, 3), "dense"), ((2, 2, 0, 3), "conv2d")],
)
def test_a_shape_without_a_rule_is_refused(shape, layer_type) -> None:
    with pytest.raises(ValueError, match="cannot slice"):
        unfold(np.zeros(shape), layer_type)


def test_an_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="slices"):
        unfold_rule("nonsense")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("shape", "layer_type"), [((6, 4), "dense"), ((4, 6, 3, 3), "conv2d"), ((6, 4, 5), "conv1d")])
def test_every_rule_plans_what_it_does(rule, shape, layer_type) -> None:
    slices = unfold(np.random.default_rng(1).normal(size=shape), layer_type, rule)
    plan = unfold_rule(rule).shape_of(shape, layer_type)
    assert slices.shape == (plan.rf, plan.N, plan.M)
    assert plan.N >= plan.M
