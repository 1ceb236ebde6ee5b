"""What a user knows better than our rules: a file of globs on tensor names, and what the tensors are.

    "*.relative_table": buffer                        # no weight
    "blocks.*.slopes": weight                         # a weight, whatever its name says
    "conv*.kernel": {layout: outputs_last}            # (*k, in, out); inputs_last: (out, *k, in); or the axes in order
    "*.wqkv.weight": {split: [q, k, v]}               # equal parts along the outputs; whole: not split
    "lora.*": {scale: 2.0}                            # its values times this

Globs are those of the shell, on names as `describe` shows them. Of several that fit a tensor the first counts for each
of the four questions. Not covered: parts of different size, schemes of packed weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from zoospectra.zoo.checkpoint.layout import axes
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.view import Take
from zoospectra.zoo.layers.split.part import LayerPart

LAYOUTS = {"outputs_last": axes.outputs_last, "inputs_last": axes.inputs_last}
"""Word for a layout -> what makes it torch's."""

WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Override:
    """What a user says about the tensors of one glob; None where he says nothing."""

    glob: str
    """Names it is about."""
    weight: bool | None = None
    """True: a weight; False: a buffer."""
    layout: str | tuple[int, ...] | None = None
    """A key of LAYOUTS, or the stored axis of every axis of torch's layout."""
    split: tuple[str, ...] | None = None
    """Names of equal parts along the outputs; empty for one whole matrix."""
    scale: float | None = None
    """Factor on its values."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Overrides of one file, in its order."""

    overrides: tuple[Override, ...] = ()
    """In the order of the file."""

    @property
    def key(self) -> str:
        """Short name of what the rules say, '' for none: a part of the identity of what they decide."""
        if not self.overrides:
            return ""
        return hashlib.sha256(repr(self.overrides).encode()).hexdigest()[:12]

    def of(self, name: str) -> Override:
        """What the rules say about a tensor: the first answer to each question."""
        fits = [override for override in self.overrides if fnmatchcase(name, override.glob)]
        weight, layout, split, scale = (
            next((value for override in fits if (value := getattr(override, key)) is not None), None)
            for key in ("weight", "layout", "split", "scale")
        )
        return Override(", ".join(override.glob for override in fits), weight, layout, split, scale)


NO_RULES = Rules()


def rules_from(content: object, where: str = "rules") -> Rules:
    """Rules of a mapping of globs; ValueError naming the glob that is not understood."""
    if not isinstance(content, Mapping):
        msg = f"{where}: expected a mapping of globs to weight, buffer, layout, split or scale"
        raise ValueError(msg)
    return Rules(tuple(_override(str(glob), said, where) for glob, said in content.items()))


def _override(glob: str, said: Any, where: str) -> Override:  # noqa: ANN401 - YAML values of any type
    """One line of the file."""
    if said in ("weight", "buffer"):
        return Override(glob, weight=said == "weight")
    keys = {"layout", "split", "scale"}
    if not isinstance(said, Mapping) or not said or not keys >= said.keys():
        raise ValueError(_expected(where, glob, said, f"weight, buffer, or a mapping of {', '.join(sorted(keys))}"))
    layout, parts, scale = said.get("layout"), said.get("split"), said.get("scale")
    if isinstance(layout, list) and sorted(map(str, layout)) == [str(axis) for axis in range(len(layout))]:
        layout = tuple(int(axis) for axis in layout)
    elif layout is not None and layout not in list(LAYOUTS):
        raise ValueError(_expected(where, glob, layout, f"a layout: {', '.join(LAYOUTS)}, or the axes in order"))
    if parts == WHOLE:
        parts = []
    if parts is not None and not (isinstance(parts, list) and all(isinstance(part, str) and part for part in parts)):
        raise ValueError(_expected(where, glob, parts, f"a split: {WHOLE}, or names of equal parts"))
    number = isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
    if scale is not None and not number:
        raise ValueError(_expected(where, glob, scale, "a scale: a positive number"))
    return Override(
        glob,
        layout=layout,
        split=None if parts is None else tuple(parts),
        scale=None if scale is None else float(scale),
    )


def _expected(where: str, glob: str, said: object, expected: str) -> str:
    return f"{where}: {json.dumps(glob)}: expected {expected}, got {str(said)[:80]}"


def relaid(ref: TensorRef, override: Override) -> TensorRef:
    """The tensor in torch's layout as the rules say; as it is where they say nothing, or what its shape cannot be."""
    layout = override.layout
    if layout is None or len(ref.shape) < 2:
        return ref
    if isinstance(layout, str):
        return LAYOUTS[layout](ref)
    return axes.ordered(ref, layout) if len(layout) == len(ref.shape) else ref


def parts_of(shape: tuple[int, ...], whole: LayerPart, override: Override) -> tuple[LayerPart, ...] | None:
    """Layers of a tensor as the rules split it, where `whole` is it as one; None when its rows cannot be shared out."""
    names = override.split or ()
    if not names:
        return (whole,)
    if shape[0] % len(names):
        return None
    rows = shape[0] // len(names)
    return tuple(
        LayerPart(name, whole.layer_type, name, (Take(0, number * rows, (number + 1) * rows),))
        for number, name in enumerate(names)
    )
