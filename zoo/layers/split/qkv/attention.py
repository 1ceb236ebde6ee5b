"""A fused matrix and what is known about the attention that it belongs to; what a layout makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoospectra.zoo.layers.split.part import HEADS, Context, LayerPart

GROUPS = (
    "attn_config.kv_n_heads",
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "head_count_kv",
    "multi_query_group_num",
    "num_query_groups",
)
"""Keys of configurations: key and value heads, which are the groups of query heads."""


@dataclass(frozen=True, slots=True)
class Attention:
    """A fused matrix."""

    name: str
    """The tensor's name."""
    shape: tuple[int, ...]
    """(rows, in), or (rows, in, 1, 1)."""
    kind: str
    """'dense' or 'conv2d'."""
    context: Context
    """The checkpoint, with the configuration of the tower that the tensor is in."""

    @property
    def heads(self) -> int | None:
        """Query heads, where the configuration tells."""
        return self.context.number(*sorted(HEADS, reverse=True))

    @property
    def groups(self) -> int | None:
        """Key and value heads, where the configuration tells."""
        return self.context.number(*GROUPS)

    def near(self, path: str) -> tuple[int, ...] | None:
        """Shape of a tensor of the same attention, by its path below the attention's module."""
        module = self.name.removesuffix(".weight").rpartition(".")[0]
        return self.context.shapes.get(f"{module}.{path}" if module else path)


Parts = tuple[LayerPart, ...] | str
"""q, k and v, or why they cannot be told apart."""

Layout = Callable[[Attention], Parts]
"""How q, k and v lie in a fused matrix."""
