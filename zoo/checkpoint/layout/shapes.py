"""Which library wrote a file, by its kernels' shapes: the axes of a kernel are short and mostly equal.

(64, 3, 7, 7) can only be torch's, (64, 7, 7, 3) MLX', (7, 7, 3, 64) TensorFlow's. A shape that could be of two has no
vote, and votes that differ decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 32
"""Longest axis of a kernel; patches of vision transformers have 32."""

PLACES: dict[str, int] = {"torch": 2, "mlx": 1, "tf": 0}
"""Library -> first of the two axes of a kernel in a shape of four."""


def library(shapes: Iterable[tuple[int, ...]]) -> str | None:
    """'torch', 'mlx' or 'tf'; None when the shapes do not tell."""
    votes = {next(iter(fits)) for fits in map(_candidates, shapes) if len(fits) == 1}
    return next(iter(votes)) if len(votes) == 1 else None


def _candidates(shape: tuple[int, ...]) -> set[str]:
    """Libraries in whose layout a shape has a square kernel."""
    if len(shape) != 4:
        return set()
    return {name for name, at in PLACES.items() if shape[at] == shape[at + 1] <= LONGEST}
