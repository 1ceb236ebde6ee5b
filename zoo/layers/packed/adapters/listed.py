"""The first trainer's list: torch.save([up, down, up, down, ...]), without names; its updates have a scale of 1.

Tensors are called 0, 1, 2, ... in the order of the list. Told from other lists by its structure: an even number, every
second one fits the one before, and one small rank throughout.
Source: https://github.com/cloneofsimo/lora, lora_diffusion/lora.py, save_lora_weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from zoospectra.zoo.layers.packed.adapters.lora import update
from zoospectra.zoo.layers.packed.adapters.names import Pair
from zoospectra.zoo.layers.packed.weight import PackedWeight, Refs


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every pair of the list; nothing when the tensors are no such list."""
    tensors = list(refs.values())
    if not tensors or len(tensors) % 2 or list(refs) != [str(number) for number in range(len(tensors))]:
        return
    found = [Pair(up.name, up.name, down, up) for up, down in zip(tensors[::2], tensors[1::2], strict=True)]
    ranks = {pair.down.shape[0] if len(pair.down.shape) > 1 else 0 for pair in found}
    if len(ranks) != 1 or 0 in ranks:
        return
    (rank,) = ranks
    sides = [(pair.up.shape, prod(pair.down.shape[1:])) for pair in found]
    thin = all(len(up) > 1 and up[1] == rank and 2 * rank <= min(up[0], inputs) for up, inputs in sides)
    if thin:
        for pair in found:
            yield from update(pair, refs, config, note="")
