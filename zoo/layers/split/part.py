"""What a split rule sees and what it says. Rules are pure: names, shapes and the model's configuration, no bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoospectra.zoo.checkpoint.view import View


@dataclass(frozen=True, slots=True)
class Context:
    """The checkpoint that a tensor is in."""

    shapes: Mapping[str, tuple[int, ...]]
    """Shape of every tensor of the checkpoint, by name."""
    config: Mapping[str, Any]
    """The model's configuration (zoo.checkpoint.record.Checkpoint.config); data from outside."""

    def number(self, *keys: str) -> int | None:
        """First of these configuration values that is a positive integer."""
        for key in keys:
            value: Any = self.config
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if type(value) is int and value > 0:
                return value
        return None

    def family(self) -> str:
        """Architecture's name: model_type of config.json, or general.architecture of a GGUF file; '' when unknown."""
        name = self.config.get("model_type") or self.config.get("architecture")
        return name if isinstance(name, str) else ""

    def sibling_shape(self, name: str, last: str) -> tuple[int, ...] | None:
        """Shape of the tensor called `last` in the module of `name`; None when there is none."""
        module = name.rpartition(".")[0]
        return self.shapes.get(f"{module}.{last}" if module else last)


@dataclass(frozen=True, slots=True)
class LayerPart:
    """One layer inside a stored tensor."""

    suffix: str
    """Added to the tensor's longname after a dot; '' for the tensor itself."""
    layer_type: str
    """'dense', 'dense_part', 'conv2d', 'embedding', 'rnn', ..."""
    group: str | None
    """Role inside the block; None when unknown."""
    view: View = ()
    """Where its values lie."""


Rule = Callable[[str, tuple[int, ...], Context], tuple[LayerPart, ...] | None]
"""(name, shape, context) -> the tensor's layers; None when the rule does not know the tensor."""
