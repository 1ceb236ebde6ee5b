"""The scale of a low-rank update: where alpha is written, and what it is divided by. Every rule of it is here.

Asked in this order: a tensor alpha beside the pair (alpha / r; read with the factors), adapter_config.json of PEFT
(lora_alpha, patterns, use_rslora) or of MLX (lora_parameters.scale), the header's lora_adapter_metadata (diffusers) or
ss_network_alpha (kohya), adapter.lora.alpha of a GGUF file. Where none says anything the scale is unknown: 1 is taken,
and the layer says so. Sources: peft/tuners/lora/layer.py, mlx_lm/tuner/lora.py, diffusers/loaders/lora_base.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite, sqrt
from typing import Any, NamedTuple

from zoospectra.zoo.layers.packed.weight import part_of

MAX_METADATA = 1 << 22
"""Most characters of a description in a header that are parsed."""

UNKNOWN = "scale unknown: neither the file nor what lies beside it has an alpha, 1 is taken"


class Scale(NamedTuple):
    """What the product of the factors is multiplied with."""

    value: float
    """The factor."""
    note: str = ""
    """Why it is a guess; '' when it is stated."""


def scale(module: str, rank: int, config: Mapping[str, Any]) -> Scale:
    """The scale of the update of a module (without 'base_model.model.') whose factors have this rank."""
    adapter = part_of(config, "adapter")
    rates = part_of(adapter, "lora_parameters")
    if _number(rates.get("scale")):
        return Scale(float(rates["scale"]))
    if rates and _number(rates.get("alpha")):
        return Scale(float(rates["alpha"]) / rank)
    if adapter:
        return _peft(module, rank, adapter)
    metadata = part_of(config, "metadata")
    described = _described(metadata, module)
    if described is not None:
        inner, settings = described
        return _peft(inner, rank, settings)
    alpha, dim = (_parsed(metadata.get(key)) for key in ("ss_network_alpha", "ss_network_dim"))
    if alpha is not None:
        return Scale(alpha / (dim or rank))
    if _number(config.get("alpha")):
        return Scale(float(config["alpha"]) / rank if config["alpha"] else 1.0)
    return Scale(1.0, UNKNOWN)


def rank_of(modules: list[str], adapter: Mapping[str, Any]) -> int | None:
    """The rank that adapter_config.json gives to the modules of these names; None when it differs or is not there."""
    ranks = {_pattern(adapter.get("rank_pattern"), module, adapter.get("r")) for module in modules}
    (rank,) = ranks if len(ranks) == 1 else (None,)
    return rank if type(rank) is int and rank > 0 else None


def _peft(module: str, rank: int, adapter: Mapping[str, Any]) -> Scale:
    """Alpha / r, or alpha over the square root of r with use_rslora, alpha by the first pattern that fits the name."""
    alpha = _pattern(adapter.get("alpha_pattern"), module, adapter.get("lora_alpha", adapter.get("alpha")))
    if not _number(alpha):
        return Scale(1.0, UNKNOWN if alpha is None else f"scale unknown: {str(alpha)[:60]}, 1 is taken")
    if adapter.get("peft_type") == "ADALORA":
        return Scale((float(alpha) if alpha > 0 else float(rank)) / (rank + 1e-5))
    return Scale(float(alpha) / (sqrt(rank) if adapter.get("use_rslora") is True else rank))


def _pattern(patterns: object, module: str, default: Any) -> Any:  # noqa: ANN401 - data from outside
    """Value of the first pattern that a module's name ends with, as peft.utils.other.get_pattern_key finds it."""
    for key, value in patterns.items() if isinstance(patterns, Mapping) else ():
        if not is_harmless(str(key)) or len(module) > 300:
            return f"the pattern {str(key)[:40]!r} is not tried"
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def is_harmless(pattern: str) -> bool:
    """Whether a regular expression from outside is tried: its time must not explode.

    No more than three repeats, none of them of a group, and no back references.
    """
    repeats = re.findall(r"(?<!\\)[*+{]", pattern)
    if len(pattern) > 200 or len(repeats) > 3 or re.search(r"\)\s*[*+{]|\\[1-9]|\(\?P[=<]", pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _described(metadata: Mapping[str, Any], module: str) -> tuple[str, Mapping[str, Any]] | None:
    """Name inside its component, and that component's settings, from diffusers' description in the header."""
    text = metadata.get("lora_adapter_metadata")
    if not isinstance(text, str) or len(text) > MAX_METADATA:
        return None
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(settings, Mapping):
        return None
    component, _, inner = module.partition(".")
    own = {key.removeprefix(f"{component}."): v for key, v in settings.items() if key.startswith(f"{component}.")}
    if "lora_alpha" in own:
        return inner, own
    return (module, settings) if "lora_alpha" in settings else None


def _number(value: object) -> bool:
    return type(value) in (int, float) and isfinite(value)  # type: ignore[arg-type]


def _parsed(text: object) -> float | None:
    """A number that a header holds as text."""
    try:
        value = float(text) if isinstance(text, str) and len(text) < 40 else None
    except ValueError:
        return None
    return value if value is not None and isfinite(value) and value > 0 else None
