"""Fingers: the few largest eigenvalues that a finite matrix pushes out of its tail, and two ways around them.

'xmin_peak' lets the tail start only near the peak of the log-ESD; 'clip_xmax' drops the top idx = 2, 3, ... values and
accepts the first fit whose alpha is more than 1 below the raw one. Names and rules are WeightWatcher 0.7.7's
`fix_fingers`; its xmin_peak has a lower bound of log10(0.95 peak) where 0.95 peak is meant, which
lower='weightwatcher' reproduces. Not covered: fingers of a truncated law.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.metrics.peak import peak
from zoospectra.analysis.powerlaw import fit_powerlaw
from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Value
from zoospectra.analysis.uncertainty.batch import distances, slopes

BELOW, ABOVE = 0.95, 1.5
"""Range of starts around the peak, as shares of it."""
MIN_ALPHA = 2.0
"""Clipping stops at an alpha this small."""
DEFAULTS = {"max_fingers": 10, "finger_thresh": 1.0, "lower": "peak"}
LOWER = ("peak", "weightwatcher")

COLUMNS = (
    Column("alpha_peak", "double", "1", "alpha of the best start within 0.95 to 1.5 times the peak of the log-ESD"),
    Column("xmin_peak", "double", "eigenvalue", "that start"),
    Column("D_peak", "double", "1", "its Kolmogorov-Smirnov distance"),
    Column("raw_alpha", "double", "1", "alpha before any clipping"),
    Column("alpha_clip", "double", "1", "alpha after clipping; raw_alpha where nothing is clipped"),
    Column("xmin_clip", "double", "eigenvalue", "start of the tail after clipping"),
    Column("xmax_clip", "double", "eigenvalue", "largest eigenvalue kept after clipping"),
    Column("D_clip", "double", "1", "Kolmogorov-Smirnov distance after clipping"),
    Column("num_fingers", "bigint", "count", "WeightWatcher's count: eigenvalues dropped minus 1, 0 for none dropped"),
)


def at_peak(x: FloatArray, lower: str = "peak") -> tuple[float, float, float] | None:
    """(alpha, xmin, D) of the best start near the peak of x, (K,) ascending and positive; None where there is none.

    Equivalent, for lower='weightwatcher', to powerlaw.Fit(x, xmin=(log10(0.95 peak), 1.5 peak)) below powerlaw 2.
    Raises ValueError for another word.
    """
    if lower not in LOWER:
        msg = f"lower: expected one of {LOWER}, got {lower!r}"
        raise ValueError(msg)
    edge = peak(x)
    if edge is None:
        return None
    start = BELOW * edge if lower == "peak" else math.log10(BELOW * edge)
    logs = np.log(x)[None, :]
    slope = slopes(logs)
    inside = (x >= start) & (x <= ABOVE * edge)
    if lower == "weightwatcher" and inside.any():
        inside &= x < x[inside][-1]  # powerlaw never tries the largest value of its range
    first = np.flatnonzero(inside[:-1] & (slope[0] > 0.0))
    if len(first) == 0:
        return None
    D = distances(logs, slope, np.zeros_like(first), first)
    best = int(D.argmin())
    return 1.0 + float(slope[0, first[best]]), float(x[first[best]]), float(D[best])


def clip(x: FloatArray, max_fingers: int = 10, finger_thresh: float = 1.0) -> tuple[Fit, Fit, int]:
    """(accepted fit, raw fit, num_fingers) of x, (K,) ascending, positive; the raw fit twice where nothing is clipped.

    Equivalent to WeightWatcher 0.7.7's fit_clipped_powerlaw(x, max_fingers, finger_thresh).
    """
    raw = fit_powerlaw(x)
    if raw.alpha is None:
        return raw, raw, 0
    for dropped in range(2, max_fingers):
        fit = fit_powerlaw(x[:-dropped])
        if fit.alpha is None:
            break
        if fit.alpha + finger_thresh < raw.alpha:
            return fit, raw, dropped - 1
        if fit.alpha <= MIN_ALPHA:
            break
    return raw, raw, 0


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`.

    Options: max_fingers (10), finger_thresh (1.0), lower ('peak' or 'weightwatcher').
    """
    chosen = METHOD.options(options)
    row: dict[str, Value] = {column.name: None for column in COLUMNS}
    near = at_peak(esd.fitted, str(chosen["lower"]))
    if near is not None:
        row["alpha_peak"], row["xmin_peak"], row["D_peak"] = near
    clipped, raw, fingers = clip(esd.fitted, int(chosen["max_fingers"]), float(chosen["finger_thresh"]))
    if raw.alpha is not None:
        row["raw_alpha"], row["alpha_clip"], row["num_fingers"] = raw.alpha, clipped.alpha, fingers
        row["xmin_clip"], row["xmax_clip"], row["D_clip"] = clipped.xmin, clipped.xmax, clipped.D
    return row


METHOD = Method(
    name="fingers",
    columns=COLUMNS,
    citation="WeightWatcher 0.7.7, fix_fingers",
    needs=("spectrum", "tail"),
    cost="5 ms",
    run=run,
    defaults=DEFAULTS,
)
