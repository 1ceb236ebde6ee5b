"""Operators of ONNX that give a constant another shape and leave its elements in their order. Pure.

Source: https://onnx.ai/onnx/operators/ (Reshape, Flatten, Squeeze, Unsqueeze).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

SHAPING = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""The operators."""

MAX_DIMS = 8
"""Most axes that a shape may get."""


def reshaped(operator: str, shape: tuple[int, ...], numbers: Sequence[int] | None, axis: int) -> tuple[int, ...] | None:
    """Shape behind an operator; None where it is not known, or the elements would not fit.

    numbers: the second input or the attribute (a shape, or axes), None where that is computed; axis: Flatten's.
    """
    made: Sequence[int] | None = None
    if operator == "Flatten":
        cut = axis + len(shape) if axis < 0 else axis
        made = (prod(shape[:cut]), prod(shape[cut:])) if 0 <= cut <= len(shape) else None
    elif operator == "Reshape" and numbers is not None and len(numbers) <= MAX_DIMS:
        made = _wanted(shape, numbers)
    elif operator == "Squeeze":
        made = _squeezed(shape, numbers)
    elif operator == "Unsqueeze" and numbers is not None and len(shape) + len(numbers) <= MAX_DIMS:
        made = _unsqueezed(shape, numbers)
    return tuple(made) if made is not None and min(made, default=1) > 0 and prod(made) == prod(shape) else None


def _wanted(shape: tuple[int, ...], numbers: Sequence[int]) -> list[int] | None:
    """Reshape's: 0 keeps an axis, -1 takes what is left."""
    sizes = [shape[place] if size == 0 and place < len(shape) else size for place, size in enumerate(numbers)]
    if sizes.count(-1) > 1:
        return None
    rest = prod(size for size in sizes if size != -1)
    return [prod(shape) // rest if size == -1 and rest > 0 else size for size in sizes]


def _squeezed(shape: tuple[int, ...], numbers: Sequence[int] | None) -> list[int]:
    """Without the axes of size 1, or without those that are named."""
    gone = range(len(shape)) if not numbers else [axis % len(shape) for axis in numbers if shape]
    return [size for place, size in enumerate(shape) if size != 1 or place not in gone]


def _unsqueezed(shape: tuple[int, ...], numbers: Sequence[int]) -> list[int] | None:
    """With new axes of size 1, at these places of the new shape."""
    dims = len(shape) + len(numbers)
    new = {axis + dims if axis < 0 else axis for axis in numbers}
    if len(new) != len(numbers) or not new <= set(range(dims)):
        return None
    old = iter(shape)
    return [1 if place in new else next(old) for place in range(dims)]
