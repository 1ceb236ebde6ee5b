"""Views: how a matrix lies inside a stored tensor, as a few plain steps that can travel to any worker.

Steps are applied in order and mean what numpy means by them; only a reshape of what is not contiguous copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from zoospectra.zoo.checkpoint.tensor import AnyArray


@dataclass(frozen=True, slots=True)
class Take:
    """A range along one axis."""

    axis: int
    """Axis, from 0."""
    start: int
    """First index."""
    stop: int
    """Index behind the last."""
    step: int = 1
    """2 for every other element."""


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in C order under another shape."""

    shape: tuple[int, ...]
    """New shape."""


@dataclass(frozen=True, slots=True)
class Order:
    """Axes in another order."""

    axes: tuple[int, ...]
    """Old axis of every new one."""


Step = Take | Reshape | Order
View = tuple[Step, ...]


def shape_after(shape: tuple[int, ...], view: View) -> tuple[int, ...]:
    """Shape of a view of a tensor of `shape`; ValueError when the view does not fit it."""
    for step in view:
        if isinstance(step, Take):
            if not (0 <= step.axis < len(shape) and 0 <= step.start < step.stop <= shape[step.axis] and step.step > 0):
                msg = f"cannot take {step.start}:{step.stop}:{step.step} of axis {step.axis} of shape {shape}"
                raise ValueError(msg)
            length = -(-(step.stop - step.start) // step.step)
            shape = (*shape[: step.axis], length, *shape[step.axis + 1 :])
        elif isinstance(step, Reshape):
            if prod(step.shape) != prod(shape) or min(step.shape, default=1) < 0:
                msg = f"cannot give {shape} the shape {step.shape}: the numbers of elements differ"
                raise ValueError(msg)
            shape = step.shape
        else:
            if sorted(step.axes) != list(range(len(shape))):
                msg = f"axes {step.axes} are no order of the {len(shape)} axes of {shape}"
                raise ValueError(msg)
            shape = tuple(shape[axis] for axis in step.axes)
    return shape


def apply(array: AnyArray, view: View) -> AnyArray:
    """The view of an array; ValueError when it does not fit."""
    shape_after(array.shape, view)
    for step in view:
        if isinstance(step, Take):
            array = array[(slice(None),) * step.axis + (slice(step.start, step.stop, step.step),)]
        elif isinstance(step, Reshape):
            array = array.reshape(step.shape)
        else:
            array = array.transpose(step.axes)
    return array
