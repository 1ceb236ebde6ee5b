"""What an axis says of a column: the quantity in words, and its unit."""

from __future__ import annotations

WORDS = {
    "alpha": "alpha, exponent of the tail",
    "D": "D, Kolmogorov-Smirnov distance",
    "log_norm": "log norm, log10 of the Frobenius norm as the profile defines it",
    "log_spectral_norm": "log spectral norm, log10 of the largest eigenvalue",
    "alpha_weighted": "alpha-hat, alpha log10 of the largest eigenvalue",
    "log_alpha_norm": "log alpha-norm, log10 of sum lambda^alpha",
    "stable_rank": "stable rank",
}
"""Of the metrics that papers show; others go by their column's name."""

UNNAMED = (None, "no data set")
"""Data set of a number of which none is named."""


def quantity(column: str, mean: bool = False) -> str:
    """Words for a column; `mean` over the layers of a model."""
    words = WORDS.get(column, column)
    return f"mean {words}" if mean else words


def reported(metric: str, dataset: str | None) -> str:
    """Words for a reported number, in the unit of its source."""
    return f"{metric}, as reported" if dataset in UNNAMED else f"{metric} on {dataset}, as reported"


def on_data_set(dataset: str | None) -> str:
    """Words for a caption."""
    return "no data set" if dataset in UNNAMED else f"data set {dataset}"
