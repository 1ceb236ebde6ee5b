"""Names of the factors of a low-rank update, in every trainer's spelling: which module, which factor, which adapter.

| trainer | down (r, in) | up (out, r) |
|---|---|---|
| PEFT, diffusers | M.lora_A.weight, M.lora_A.NAME.weight, M.lora_embedding_A | M.lora_B... |
| kohya, LyCORIS | M.lora_down.weight | M.lora_up.weight |
| diffusers before 0.18, XLabs | M.lora.down.weight, M_lora.down.weight, M_lora1.down.weight | ...up... |
| GGUF | M.weight.lora_a | M.weight.lora_b |
| MLX | M.lora_a, (in, r) | M.lora_b, (r, out) |
| cloneofsimo/lora | M:down | M:up |
| Keras (.h5) | M.lora_kernel_a, (in, r) | M.lora_kernel_b, (r, out) |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.layers.packed.weight import Refs

FORMS = (
    re.compile(
        r"^(?P<base>.+?)[._]lora_(?P<which>A|B|a|b|embedding_A|embedding_B|down|up)"
        r"(?:\.(?!weight$)(?P<adapter>\w+))?(?:\.weight)?$"
    ),
    re.compile(r"^(?P<base>.+?)[._]lora(?:_linear_layer|(?P<adapter>\d+))?\.(?P<which>down|up)(?:\.weight)?$"),
    re.compile(r"^(?P<base>.+?):(?P<which>down|up)$"),
    re.compile(r"^(?P<base>.+?[._]lora_(?:kernel|embeddings))_(?P<which>a|b)$"),
)
"""Spellings, the first that fits counts."""

DOWN = frozenset({"A", "a", "embedding_B", "down"})
"""Words for the factor that is applied first; of an embedding, whose update lies as its table, it is B."""

PREFIX = "base_model.model."
"""What PEFT puts before every name."""


class Pair(NamedTuple):
    """Two factors that belong together."""

    base: str
    """Name of the module, or of its weight, as the file has it."""
    module: str
    """The same as users know it: without PEFT's prefix, with the adapter's name unless that is 'default'."""
    down: TensorRef
    """The first factor."""
    up: TensorRef
    """The second factor."""


def pairs(refs: Refs) -> list[Pair]:
    """Every pair, in the order of its first factor."""
    places: dict[tuple[str, str], dict[bool, TensorRef]] = {}
    for name, ref in refs.items():
        match = next((found for form in FORMS if (found := form.match(name))), None)
        if match:
            adapter = match.groupdict().get("adapter") or "default"
            places.setdefault((match["base"], adapter), {})[match["which"] in DOWN] = ref
    return [
        Pair(base, base.removeprefix(PREFIX) + ("" if adapter == "default" else f".{adapter}"), two[True], two[False])
        for (base, adapter), two in places.items()
        if len(two) == 2
    ]
