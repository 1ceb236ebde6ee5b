"""A second opinion: the same eigenvalues fitted by the `powerlaw` package, beside our own fit.

Slow (4 s a layer at K = 4096) and asked for by name only. Needs powerlaw < 2, whose 2.0 bounds alpha to (0, 3]; without
it every value is None. Not covered: its other distributions (analysis.tails has ours).
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Value

COLUMNS = (
    Column("powerlaw_alpha", "double", "1", "alpha by powerlaw.Fit, xmin searched, no xmax"),
    Column("powerlaw_D", "double", "1", "its Kolmogorov-Smirnov distance"),
    Column("powerlaw_sigma", "double", "1", "its standard error of alpha"),
    Column("powerlaw_xmin", "double", "eigenvalue", "its start of the tail"),
    Column("powerlaw_difference", "double", "1", "powerlaw_alpha - alpha of the profile"),
)


def second_opinion(values: FloatArray) -> tuple[float, float, float, float] | None:
    """alpha, D, sigma, xmin of `powerlaw.Fit(values)`, values (K,) positive; None without package or fit."""
    try:
        import powerlaw
    except ImportError:
        return None
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = powerlaw.Fit(values, verbose=False)
            numbers = (float(fit.alpha), float(fit.D), float(fit.sigma), float(fit.xmin))
        except (ValueError, IndexError, ZeroDivisionError, AttributeError):  # its ways of saying: nothing to fit
            return None
    return numbers if all(map(math.isfinite, numbers)) else None


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None where the package is missing or finds no fit. No options."""
    opinion = second_opinion(esd.fitted) if len(esd.fitted) > 1 else None
    row: dict[str, Value] = dict.fromkeys(column.name for column in COLUMNS)
    if opinion:
        row |= dict(zip(("powerlaw_alpha", "powerlaw_D", "powerlaw_sigma", "powerlaw_xmin"), opinion, strict=True))
        row["powerlaw_difference"] = None if fit.alpha is None else opinion[0] - fit.alpha
    return row


METHOD = Method(
    name="second_opinion",
    columns=COLUMNS,
    citation="Alstott, Bullmore, Plenz, PLoS ONE 9(1), 2014: powerlaw.Fit",
    needs=("spectrum", "fit", "tail"),
    cost="370 ms",
    run=run,
)
