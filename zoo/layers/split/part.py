"""What a split rule sees and what it says. Rules are pure: names, shapes and the model's configuration, no bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoospectra.zoo.checkpoint.view import View

TOWERS: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = (
    (re.compile(r"visual|vision|^vit$|^image_"), "vision", ("vision_config", "visual", "vision_cfg")),
    (re.compile(r"audio|speech"), "audio", ("audio_config",)),
    (re.compile(r"^(language_model|text_model|llm)$"), "text", ("text_config", "llm_config", "language_config")),
)
"""(part of a tensor's name, what it is a tower of, keys under which the tower's own configuration is kept)."""

HEADS = frozenset({"num_attention_heads", "n_head", "head_count", "n_heads", "num_heads", "heads"})
"""Keys of configurations: query heads."""


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

    def within(self, name: str) -> Context:
        """The same checkpoint with the configuration of the tower that a tensor is in.

        A vision tower's heads are not those of the language model: without a configuration of its own it has none, and
        its family is the model's name with ':vision'.
        """
        config, family = self.config, self.family()
        for part in name.lower().split(".")[:-1]:
            tower = next(((word, keys) for pattern, word, keys in TOWERS if pattern.search(part)), None)
            inner = next((config[key] for key in (part, f"{part}_config") if _has_heads(config.get(key))), None)
            if inner is None and tower is not None:
                inner = next((config[key] for key in tower[1] if _is_mapping(config.get(key))), None)
                if inner is None and tower[0] != "text" and not family.endswith(f":{tower[0]}"):
                    inner = {}
            if inner is not None:
                family = f"{family}:{tower[0]}" if tower and tower[0] != "text" and family else family
                config = {"model_type": family} | dict(inner)
                family = replace(self, config=config).family()
        if not _has_heads(config):
            text = next((config[key] for key in TOWERS[2][2] if _is_mapping(config.get(key))), None)
            config = config if text is None else {"model_type": family} | dict(text)
        return replace(self, config=config)

    def sibling_shape(self, name: str, last: str) -> tuple[int, ...] | None:
        """Shape of the tensor called `last` in the module of `name`; None when there is none."""
        module = name.rpartition(".")[0]
        return self.shapes.get(f"{module}.{last}" if module else last)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _has_heads(value: object) -> bool:
    """Whether a value is the configuration of a transformer."""
    return isinstance(value, Mapping) and not HEADS.isdisjoint(value)


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
    unsplit: str = ""
    """Why a fused matrix has no parts: it becomes a row beside the layer; '' when there is nothing to say."""


Rule = Callable[[str, tuple[int, ...], Context], tuple[LayerPart, ...] | None]
"""(name, shape, context) -> the tensor's layers; None when the rule does not know the tensor."""


def matrix_kind(shape: tuple[int, ...]) -> str | None:
    """'dense' for a matrix, 'conv2d' for one stored as a 1 x 1 convolution, else None."""
    if len(shape) == 2:
        return "dense"
    return "conv2d" if len(shape) == 4 and shape[2:] == (1, 1) else None
