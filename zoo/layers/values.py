"""From a layer to its values: a tensor, a part of one, or what several tensors make together.

Not covered: where the bytes lie (zoo.checkpoint.read), which tensors make which layers (zoo.layers.choose).
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.read import content_hash, digest_of, read, stored
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.checkpoint.view import Take, View, apply
from zoospectra.zoo.layers.layer import Assembly, Layer
from zoospectra.zoo.layers.packed import SCHEMES
from zoospectra.zoo.layers.packed.adapters import FACTORS
from zoospectra.zoo.layers.packed.adapters.lora import expert_of


def read_layer(layer: Layer) -> AnyArray:
    """Values of a layer, of shape layer.shape: a view of the mapped file where possible, else a copy of that part.

    Raises CheckpointError as `read` does, and 'missing_reader' where a package is needed that is not installed.
    """
    if layer.assembly is not None:
        return apply(_assembled(layer.assembly), layer.view)
    ref, view = layer.ref, layer.view
    first = _leading(ref, view)
    # The part is cut out before it is decoded: one expert of 128 costs what one expert holds.
    values = types.decode(apply(stored(ref), view[:first]), ref.dtype)
    return apply(values, view[first:])


def read_factors(layer: Layer) -> tuple[AnyArray, AnyArray] | None:
    """Factors (out, r) and (r, in), scaled, of a low-rank update that is thinner than its product; else None."""
    assembly = layer.assembly
    if assembly is None or assembly.scheme not in FACTORS:
        return None
    arrays = [read(part) for part in assembly.parts]
    up, down = FACTORS[assembly.scheme](arrays, dict(assembly.options), assembly.shape)
    expert = expert_of(layer.view)
    if expert is not None:
        up, down = up[expert], down[expert]
    return (up, down) if up.shape[1] <= min(layer.shape) else None


def layer_hash(layer: Layer) -> str:
    """sha256 (hex) that names the values of a layer.

    The content hash of the tensor, or what it would be if the layer's part were a tensor of its own, so that a split
    matrix and the same one stored alone are one. An assembly: of its scheme, options, parts and the view.
    """
    if layer.assembly is not None:
        assembly = layer.assembly
        parts = [content_hash(part) for part in assembly.parts]
        words = [assembly.scheme, assembly.options, assembly.shape, parts, [repr(step) for step in layer.view]]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()
    ref, view = layer.ref, layer.view
    if not view:
        return content_hash(ref)
    if _leading(ref, view) == len(view):
        return digest_of(ref.dtype, layer.shape, apply(stored(ref), view))
    return digest_of(f"{ref.dtype} view", layer.shape, np.ascontiguousarray(read_layer(layer)))


def _leading(ref: TensorRef, view: View) -> int:
    """How many steps of a view mean the same for the stored carriers: all, but for block types only cuts of rows."""
    if ref.dtype not in types.BLOCKS:
        return len(view)
    last = len(ref.shape) - 1
    rows = [isinstance(step, Take) and step.axis < last for step in view]
    return rows.index(False) if False in rows else len(rows)


def _assembled(assembly: Assembly) -> AnyArray:
    """Values of an assembly."""
    values = SCHEMES[assembly.scheme]([read(part) for part in assembly.parts], dict(assembly.options), assembly.shape)
    if values.shape != assembly.shape:
        raise CheckpointError(
            Reason.UNREADABLE, f"{assembly.parts[0].name}: {assembly.scheme} gives {values.shape}, not {assembly.shape}"
        )
    return values
