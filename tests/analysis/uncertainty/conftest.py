"""Samples whose tail is an exact power law above 1 and whose body is something else below."""

import numpy as np
import pytest

ALPHA = 2.5


def body_and_tail(seed, K, share=0.3, alpha=ALPHA):
    """K values, ascending: uniform on (0, 1) and, with probability `share`, Pareto above 1."""
    rng = np.random.default_rng(seed)
    n = rng.binomial(K, share)
    return np.sort(np.concatenate([rng.random(K - n), (1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0))]))


@pytest.fixture(scope="session", name="body_and_tail")
def body_and_tail_fixture():
    return body_and_tail
