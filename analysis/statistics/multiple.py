"""Many tests at once: p-values adjusted for the share of false discoveries, or for any false one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values (Benjamini and Hochberg 1995) in the input's order; a None is no test and stays None.

    Equivalent to `scipy.stats.false_discovery_control(ps)` and statsmodels' 'fdr_bh'. Raises ValueError for a p-value
    outside 0 to 1.
    """
    known = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        msg = f"p-values must lie between 0 and 1, got {known.min()} to {known.max()}"
        raise ValueError(msg)
    order = np.argsort(known)
    ratios = known[order] * len(known) / np.arange(1, len(known) + 1)
    adjusted = np.empty(len(known))
    adjusted[order] = np.minimum.accumulate(ratios[::-1])[::-1]
    values = iter(adjusted)
    return [None if p is None else float(next(values)) for p in p_values]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values (Holm 1979) in the input's order: below a level, any false one has at most that chance.

    A None is no test and stays None. Equivalent to statsmodels' multipletests(method='holm').
    """
    places = sorted((i for i, p in enumerate(p_values) if p is not None), key=lambda i: p_values[i] or 0.0)
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(places):
        largest = max(largest, min(1.0, (len(places) - rank) * (p_values[i] or 0.0)))
        found[i] = largest
    return found
