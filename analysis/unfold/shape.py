"""What an unfold rule is: from a weight tensor to S matrices of N x M with N >= M.

Legend: S slices, N the larger side, M the smaller side, rf the receptive field (slices of one convolution kernel).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

AnyArray = NDArray[Any]


@dataclass(frozen=True, slots=True)
class MatrixShape:
    """Shape of the matrices that one tensor unfolds into."""

    N: int
    """Larger side of every matrix."""
    M: int
    """Smaller side of every matrix."""
    rf: int
    """Number of matrices: kh * kw of a convolution, 1 for dense layers."""


@dataclass(frozen=True, slots=True)
class Unfold:
    """One unfold rule: a plan from shapes alone, and the act on the array."""

    name: str
    """How a profile asks for it in conf."""
    shape_of: Callable[[tuple[int, ...], str], MatrixShape]
    """(tensor shape, layer_type) -> MatrixShape; reads no weights. ValueError for a shape without a rule."""
    unfold: Callable[[AnyArray, str], AnyArray]
    """(tensor, layer_type) -> (S, N, M). ValueError for a shape without a rule."""
