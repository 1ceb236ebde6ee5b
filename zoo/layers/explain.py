"""Which rule decided about a tensor, in words: its container in the file, then what it was taken for as a tensor."""

from __future__ import annotations

from difflib import get_close_matches

from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.selection import containers
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Skip
from zoospectra.zoo.layers.choose import layers, reason_to_skip
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.packed import packed
from zoospectra.zoo.layers.rules import NO_RULES, Rules
from zoospectra.zoo.layers.split import RULES
from zoospectra.zoo.layers.split.part import Context


def explain(checkpoint: Checkpoint, name: str, rules: Rules = NO_RULES) -> tuple[str, ...]:
    """Why a tensor, or a container, of an opened checkpoint is what it is taken for: one line a decision.

    ValueError for a name that the checkpoint does not have; it lists the ones that are most alike.
    """
    by_name = {ref.name: ref for ref in checkpoint.tensors}
    left = [skip for skip in checkpoint.skips if skip.tensor and f"{name}.".startswith(f"{skip.tensor}.")]
    if name not in by_name and not left:
        known = [*by_name, *(skip.tensor for skip in checkpoint.skips if skip.tensor)]
        alike = ", ".join(get_close_matches(name, known, 5, 0.3) or known[:5])
        msg = f"{name}: expected a tensor of the checkpoint, such as {alike}"
        raise ValueError(msg)
    lines = [f"{skip.tensor}: {skip.reason}: {skip.detail}" for skip in left]
    if name in by_name:
        lines += [f"net {row.name or 'of the whole file'}: {row.why}" for row in containers(checkpoint) if row.opened]
        lines += _tensor(checkpoint, by_name[name], rules)
    return tuple(lines)


def _tensor(checkpoint: Checkpoint, ref: TensorRef, rules: Rules) -> list[str]:
    """Decisions about one tensor."""
    lines = [f"{ref.name}: {ref.dtype} of shape {'x'.join(map(str, ref.shape)) or 'scalar'}"]
    override = rules.of(ref.name)
    if override.glob:
        lines.append(f"zoo.rules: {override.glob}")
    weights = packed(checkpoint.tensors, checkpoint.config)
    owner = next((weight for weight in weights if ref.name in (weight.main, *weight.companions)), None)
    chosen, skips = layers(checkpoint.tensors, checkpoint.config, rules)
    if owner is not None and override.weight is None:
        scheme = f"scheme {owner.assembly.scheme!r} computes it" if owner.assembly else f"refused: {owner.refusal}"
        lines.append(f"zoo.layers.packed: a part of {owner.longname}: {scheme}")
    elif override.split is None and override.weight is not False:
        context = Context({other.name: other.shape for other in checkpoint.tensors}, checkpoint.config)
        rule = next((key for key, rule in RULES.items() if rule(ref.name, ref.shape, context) is not None), None)
        if override.weight or reason_to_skip(ref, context) is None:
            lines.append(f"zoo.layers.split: rule {rule!r}" if rule else "zoo.layers.split: no rule knows it")
    return [*lines, *(_row(skip) for skip in skips if skip.tensor == ref.name), *map(_layer, _of(chosen, ref))]


def _of(chosen: list[Layer], ref: TensorRef) -> list[Layer]:
    return [layer for layer in chosen if layer.ref.name == ref.name]


def _row(skip: Skip) -> str:
    return f"left out: {skip.reason}: {skip.detail} ({skip.reason.advice})"


def _layer(layer: Layer) -> str:
    shape = "x".join(map(str, layer.shape))
    scaled = f", times {layer.factor:g}" if layer.factor != 1.0 else ""
    return f"layer {layer.layer_id}: {layer.longname}, {layer.layer_type} of shape {shape}{scaled}"
