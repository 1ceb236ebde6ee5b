"""An adapter with its base: the layers that it touches, changed ('merged') or as they were ('base').

The adapter's names and the base's differ by what stands before them, the same for all: 'transformer.h.0.attn' is
'h.0.attn' where a checkpoint leaves out its outermost module. The prefix with which most names are found is taken.
Updates without a layer, or whose shape is not its, are failures that name both. Not covered: adapters of experts'
stacked weights (PEFT's target_parameters), of which each is a failure; what an adapter saves whole (modules_to_save)
is in the adapter's own model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from zoospectra.zoo.checkpoint.pair import MERGED, Base
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.layers.layer import Change, Layer
from zoospectra.zoo.layers.packed.weight import part_of
from zoospectra.zoo.layers.updates import Update, updates_of

KOHYA = re.compile(r"^lora_(unet|te\d?|transformer)_")
"""What kohya's trainer puts before names whose dots it writes as '_'."""


Made = tuple[list[Layer], list[Skip]]
"""What zoo.layers.choose gives for one checkpoint."""


def with_base(
    base: Base, tensors: Sequence[TensorRef], config: Mapping[str, Any], made: Made, theirs: Sequence[Layer]
) -> Made:
    """Layers of the base that the adapter touches, and a Skip for what has no layer.

    tensors, config, made: the adapter's, and what it is by itself; theirs: layers of the base.
    """
    updates = list(updates_of(tensors, config, made[0]))
    places = _held(theirs)
    names = _found([update.module for update in updates], list(places))
    consumed = {name for update in updates for name in (update.tensor, *update.consumed)}
    skips = [skip for skip in made[1] if skip.failed and skip.tensor not in consumed]
    inputs = _widest(updates, names, places, config)
    layers: dict[int, Layer] = {}
    seen: set[str] = set()
    for update in updates:
        name = names.get(update.module, "")
        held = places.get(name, [])
        trouble = update.trouble or _trouble(update, held, base.where, config)
        if not trouble and update.shared and not inputs:
            trouble = f"{update.module}: its projections are drawn for all layers, of which {base.where} lacks some"
        if not trouble and name in seen:
            trouble = f"a second update of {name} of {base.where}: which of the two is meant is not known"
        if trouble:
            skips.append(Skip(update.tensor, Reason.UNSUPPORTED_SHAPE, trouble, True))
            continue
        assert update.change is not None
        seen.add(name)
        change = _laid(update, held[0], config, inputs)
        for layer in held:
            layers[layer.layer_id] = replace(layer, change=change) if base.side == MERGED else layer
    return [layers[number] for number in sorted(layers)], skips


def _held(layers: Sequence[Layer]) -> dict[str, list[Layer]]:
    """Layers by the module whose tensor they are a part of."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.ref.name, []).append(layer)
    held: dict[str, list[Layer]] = {}
    for tensor, group in groups.items():
        whole = next((layer.longname for layer in group if not layer.view), "")
        held[whole or tensor.removesuffix(".weight").removesuffix(".kernel")] = group
    return held


def _found(modules: Sequence[str], held: Sequence[str]) -> dict[str, str]:
    """Module of the adapter -> module of the base, by the prefix with which most are found."""
    if modules and not any("." in module for module in modules):  # kohya's, or a net without modules in modules
        flat = {name.replace(".", "_"): name for name in held}
        plain = {module: flat[KOHYA.sub("", module)] for module in modules if KOHYA.sub("", module) in flat}
        if plain:
            return plain
    known = set(held)
    best: dict[str, str] = {}
    for module in modules[:3]:
        parts = module.split(".")
        cuts = [".".join(parts[:count]) + "." if count else "" for count in range(len(parts))]
        added = [name.removesuffix(module) for name in held if name.endswith(f".{module}")]
        for cut, put in [(cut, "") for cut in cuts] + [("", put) for put in added]:
            found = {m: put + m[len(cut) :] for m in modules if m.startswith(cut) and put + m[len(cut) :] in known}
            if len(found) > len(best):
                best = found
    return best


def _trouble(update: Update, held: Sequence[Layer], where: str, config: Mapping[str, Any]) -> str:
    """Why an update cannot be of these layers; '' when it can."""
    if not held:
        return f"{update.module} is not in the base {where[:200]}"
    whole = _whole(held[0])
    words = f"{update.module}: of shape {'x'.join(map(str, whole))} in the base {where[:200]}"
    if update.shape is not None:
        if _is_turned(update.shape, held[0], config) is None:
            return f"{words}, its update is {update.shape[0]}x{update.shape[1]}"
        return ""
    sides = whole[::-1] if _fan_in(config) and len(whole) == 2 else whole
    if len(whole) < 2 or (update.size and update.size != sides[update.axis]):
        return f"{words}, the adapter's numbers are for {update.size}"
    if update.width and prod(sides[1:]) % update.width:
        return f"{words}, the adapter turns {update.width} inputs"
    return f"{words}, the projections have {update.most} inputs" if 0 < update.most < prod(sides[1:]) else ""


def _widest(
    updates: Sequence[Update],
    names: Mapping[str, str],
    places: Mapping[str, Sequence[Layer]],
    config: Mapping[str, Any],
) -> int:
    """Inputs of the widest layer of the updates that share projections; 0 when the base lacks one of the layers."""
    shared = [places.get(names.get(update.module, ""), ()) for update in updates if update.shared]
    shapes = [_whole(held[0]) if held else () for held in shared]
    return max((shape[0 if _fan_in(config) else 1] for shape in shapes), default=0) if all(map(len, shapes)) else 0


def _whole(layer: Layer) -> tuple[int, ...]:
    """Shape of the tensor that a layer is a part of."""
    return layer.assembly.shape if layer.assembly else layer.ref.shape


def _fan_in(config: Mapping[str, Any]) -> bool:
    """Whether the base's matrices are stored (in, out), as PEFT's configuration says."""
    return part_of(config, "adapter").get("fan_in_fan_out") is True


def _is_turned(shape: tuple[int, int], layer: Layer, config: Mapping[str, Any]) -> bool | None:
    """Whether the base has the transpose of an update's shape; None when it has neither."""
    whole = _whole(layer)
    straight = len(whole) > 1 and (whole[0], prod(whole[1:])) == shape
    turned = whole == shape[::-1]
    if straight and turned:
        return _fan_in(config) and layer.layer_type != "embedding"
    return turned if straight or turned else None


def _laid(update: Update, layer: Layer, config: Mapping[str, Any], inputs: int) -> Change:
    """The change, for a weight that lies as this layer's; inputs: of the widest layer that the adapter touches."""
    change = update.change
    assert change is not None
    if update.shared:
        change = replace(change, options=(*change.options, ("inputs", inputs)))
    turned = _fan_in(config) if update.shape is None else _is_turned(update.shape, layer, config)
    return replace(change, options=(*change.options, ("turned", 1))) if turned else change
