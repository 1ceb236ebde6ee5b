"""A layer against noise of its own size: what its norm says of its entries, and its largest eigenvalue of correlation.

The profile's scaling and averaging stay in the numbers, so that layers compare within one profile and kind. Shuffling a
layer keeps its entries and destroys correlation; where the profile has no shuffled copies the Marchenko-Pastur edge
sigma^2 (sqrt(N) + sqrt(M))^2 of the same entries stands for them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from zoospectra.analysis.studies.record import Row, number


class Kind(NamedTuple):
    """Layers of one kind compare."""

    profile: str
    """Profile of their numbers."""
    layer_type: str
    """'dense', 'conv2d', ..."""
    rf: int
    """Receptive field, slices of a kernel."""

    def __str__(self) -> str:
        """'conv2d, 9 slices'."""
        return f"{self.layer_type}, {self.rf} slices" if self.rf > 1 else self.layer_type


def kind(row: Row) -> Kind:
    """Kind of a layer."""
    return Kind(row["profile"], row["layer_type"] or "unknown", int(row["rf"] or 1))


def entry_scale(row: Row) -> float | None:
    """log10 of the root mean square entry, in the units of the profile's scaled weights; None where no norm is known.

    From the largest eigenvalue, the stable rank (their product is sum lam) and the number of eigenvalues K: the mean
    square entry is sum lam / (K N), whichever norm a profile prints as log_norm.
    """
    top, rank, count = number(row, "log_spectral_norm"), number(row, "stable_rank"), number(row, "num_evals")
    if top is None or not rank or not count:
        return None
    return 0.5 * (top + math.log10(rank) - math.log10(count * row["N"]))


def entries(row: Row) -> int:
    """Entries of the layer."""
    return int(row["N"] * row["M"] * (row["rf"] or 1))


def excess(row: Row) -> float | None:
    """log10 of the largest eigenvalue over that of the layer's shuffled copies, or else the noise edge; 0 is noise.

    None where no norm is known.
    """
    top, scale = number(row, "log_spectral_norm"), entry_scale(row)
    if top is None or scale is None:
        return None
    shuffled = number(row, "max_rand_eval")
    if shuffled:
        return top - math.log10(shuffled)
    slices = (row["rf"] or 1) if row["by_slice"] else 1  # a profile that works by slice counts all slices' eigenvalues
    return top - 2 * scale - math.log10(slices) - 2 * math.log10(math.sqrt(row["N"]) + math.sqrt(row["M"]))
