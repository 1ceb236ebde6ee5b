"""Options of the methods that repeat or vary the power-law fit, and the eigenvalues such a fit looks at.

A method sees neither the profile's threshold nor its rule, so a profile that changes them says so in the options as
well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.records import Esd, FloatArray

THRESHOLD = {"threshold": 1e-5, "threshold_relative": False}
"""As the weightwatcher profile: eigenvalues above 1e-5, absolute."""


def merged(method: str, defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with the given options in their place. Raises ValueError for an option that has no default."""
    if unknown := sorted(set(options) - set(defaults)):
        msg = f"unknown options {unknown} of method {method!r}; known options: {', '.join(sorted(defaults))}"
        raise ValueError(msg)
    return {**defaults, **options}


def fitted_values(esd: Esd, options: Mapping[str, Any]) -> FloatArray:
    """Eigenvalues that a fit looks at, ascending: above `threshold` (times the largest if `threshold_relative`)."""
    if len(esd.evals) == 0:
        return esd.evals
    limit = float(options["threshold"]) * (float(esd.evals[-1]) if options["threshold_relative"] else 1.0)
    return esd.evals[esd.evals > max(limit, 0.0)]
