"""Which models the files of one folder are, by their names. Pure.

Told in this order: what training left beside a model; the folder itself, where it has weights under a usual name with
their configuration; the same model once more in another format or precision; parts of one model; everything else is a
model of its own, an adapter beside its base too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zoospectra.zoo.checkpoint.shards import RANK, SPLIT, VARIANT, VARIANT_INDEX, WEIGHTS
from zoospectra.zoo.checkpoint.trouble import Reason

TRAINING = re.compile(
    r"(training_args|(lr_)?scheduler|optim(izer)?|rng_state|random_states?|scaler|sampler|dl_state_dict)"
    r"([-_.]?\w+)*\.(pt|pth|bin|pkl|ckpt|th|safetensors)"
)
"""Files that a trainer writes beside its model."""

EXPORTS = re.compile(
    r"(tf_model|flax_model|diffusion_flax_model|rust_model|model|openvino_model|open_clip_model|open_clip_pytorch_model)"
    r"(-\d{5}-of-\d{5})?\.(h5|msgpack|ot|onnx|bin|safetensors|pt|gguf)(\.index\.json)?"
)
"""Names under which one model is published in many formats."""

ADAPTERS = frozenset({"adapter_model.safetensors", "adapter_model.bin", "adapters.safetensors"})

SHARD = re.compile(r"(?P<stem>.+)_\d{5}\.weights\.h5")
"""One of the files that Keras' '<stem>.weights.json' names."""

INDEX = ".weights.json"


@dataclass(frozen=True, slots=True)
class Beside:
    """A file that is no model of its own."""

    name: str
    """Its name."""
    reason: Reason
    """Code."""
    why: str
    """The rule, in words."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the files of a folder are."""

    models: tuple[str, ...]
    """Names of what a model is opened by: a file, the first of several, or '' for the folder itself."""
    beside: tuple[Beside, ...]
    """What is left."""


def listing(names: Collection[str], weights: Collection[str], read: Collection[str] = ()) -> Listing:
    """Models among the files `names` of a folder, of which `weights` are weight files by name or content.

    read: files that are read when the folder itself is opened; none when it is no model.
    """
    models: list[str] = [""] if read else []
    beside: list[Beside] = []
    listed: set[str] = set()
    names = frozenset(names)
    firsts: dict[tuple[str, ...], str] = {}
    for name in names:
        if key := _numbered(name):
            firsts[key] = min(name, firsts.get(key, name))
    for name in sorted({*weights, *(name for name in names if name.endswith(INDEX))}):
        first = _first(name, names, firsts)
        if name in read or first in listed:
            continue
        if read and TRAINING.fullmatch(name):
            beside.append(Beside(name, Reason.OPTIMIZER_STATE, "what a trainer keeps beside its model"))
        elif read and name not in ADAPTERS and _is_export(name):
            beside.append(Beside(name, Reason.NOT_THE_MODEL, f"this model once more: {min(read)} is read"))
        else:
            listed.add(first)
            models.append(first)
    return Listing(tuple(models), tuple(beside))


def _is_export(name: str) -> bool:
    """Whether a name is one that a published model's weights have."""
    split = SPLIT.fullmatch(name)
    plain = f"{split['stem']}{split['suffix']}" if split else name
    return plain in WEIGHTS or any(rule.fullmatch(name) for rule in (VARIANT, VARIANT_INDEX, EXPORTS))


def _first(name: str, names: Collection[str], firsts: Mapping[tuple[str, ...], str]) -> str:
    """The file that opens the model that a file is a part of; the file itself where it is whole."""
    shard = SHARD.fullmatch(name)
    if shard and f"{shard['stem']}{INDEX}" in names:
        return f"{shard['stem']}{INDEX}"
    key = _numbered(name)
    return firsts[key] if key else name


def _numbered(name: str) -> tuple[str, ...]:
    """What the parts of one model have in common in their names, all but the number; empty for a whole model."""
    for rule in (SPLIT, RANK):
        if match := rule.fullmatch(name):
            return tuple({**match.groupdict(), "part": rule.pattern}.values())
    return ()
