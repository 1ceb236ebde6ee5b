"""Layers of tensors as they lie in a file, for the tests of this room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import Skip
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer

Opened = tuple[dict[str, Layer], dict[str | None, Skip]]


def opened_path(path: Path) -> Opened:
    """Layers by longname and skips by tensor; every tensor is in one of them."""
    checkpoint = open_checkpoint(str(path))
    chosen, skips = layers(checkpoint.tensors, checkpoint.config)
    named = {layer.ref.name for layer in chosen} | {skip.tensor for skip in skips}
    assert named == {ref.name for ref in checkpoint.tensors}, "nothing is lost"
    assert len({layer.longname for layer in chosen}) == len(chosen)
    return {layer.longname: layer for layer in chosen}, {skip.tensor: skip for skip in skips}


def opened(
    folder: Path,
    tensors: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    metadata: dict[str, str] | None = None,
    weights: str = "model.safetensors",
) -> Opened:
    """The same of a model's folder that is written here; `weights` adapter_model.safetensors makes an adapter's."""
    folder.mkdir(exist_ok=True, parents=True)
    state = {n: v if isinstance(v, torch.Tensor) else torch.as_tensor(np.asarray(v)) for n, v in tensors.items()}
    save_file({n: v.detach().contiguous() for n, v in state.items()}, folder / weights, metadata)
    name = "config.json" if weights.startswith("model") else "adapter_config.json"
    (folder / name).write_text(json.dumps(config or {}))
    return opened_path(folder)
