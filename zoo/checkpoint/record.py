"""What opening a checkpoint gives: references to its tensors, what was left out, and what its pickles named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoospectra.zoo.checkpoint.nets import Contents
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One opened checkpoint; headers were read, tensor bytes were not."""

    format: str
    """Key of zoo.checkpoint.formats.FORMATS, e.g. 'safetensors', 'torch_zip', 'huggingface'."""
    tensors: tuple[TensorRef, ...]
    """Every tensor of the net, in checkpoint order; a tensor's index here is its layer_id."""
    skips: tuple[Skip, ...] = ()
    """Tensors and containers that have no reference, each with its reason."""
    globals_seen: tuple[str, ...] = ()
    """Sorted 'module.name' of everything that the checkpoint's pickles referred to; none of it was imported."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What lies beside the weights and says how they split: config.json, adapter_config.json under the key 'adapter',
    or a file's own metadata. Data from outside: every value is checked where it is used."""
    net: str = ""
    """Which net of `contents` the tensors are; '' for a file that is one."""
    contents: Contents | None = None
    """Nets and the rest of the file. From a reader a leaf's value is a TensorRef, or a Skip for what cannot be referred
    to; in an opened checkpoint it is None, for `tensors` and `skips` say it."""
