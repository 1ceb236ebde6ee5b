"""The peak of the log-ESD: where WeightWatcher's E_TPL and 'xmin_peak' start the tail. Not covered: smoothing."""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.rounding import FLAT

BINS = 100
"""Bins of log10 lam, WeightWatcher's number."""


def peak(x: FloatArray) -> float | None:
    """Left edge of the fullest of `BINS` equal bins of log10 x, the first of equals; x (K,) ascending, positive.

    None for fewer than two distinct values. Equivalent to numpy.histogram(log10(x), bins=100).
    """
    if len(x) < 2:
        return None
    logs = np.log10(x)
    if logs[-1] - logs[0] <= FLAT:
        return None
    counts, edges = np.histogram(logs, bins=BINS)
    return float(10.0 ** edges[counts.argmax()])
