"""Populations that every statistic must agree on with its oracle: plain, tied, constant, grouped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Population:
    x: list[float]
    y: list[float]
    groups: list[int]


def population(seed: int, ties: bool) -> Population:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 4, 40)
    x = rng.normal(size=40) + groups
    y = 0.5 * x - 2.0 * groups + rng.normal(size=40)
    if ties:
        x, y = np.round(x), np.round(y)
    return Population(x.tolist(), y.tolist(), groups.tolist())


@pytest.fixture(params=[(seed, ties) for seed in range(5) for ties in (False, True)], ids=str)
def drawn(request: pytest.FixtureRequest) -> Population:
    return population(*request.param)
