"""Readers of checkpoints, one file a format; `open_checkpoint` picks one by what a file holds.

A reader looks at headers only and gives references to tensors. None executes anything from a file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoospectra.zoo.checkpoint.formats.folders import folder_format
from zoospectra.zoo.checkpoint.formats.huggingface import configs, open_folder
from zoospectra.zoo.checkpoint.formats.signature import format_of
from zoospectra.zoo.checkpoint.formats.table import FORMATS, reader_of
from zoospectra.zoo.checkpoint.layout import torch_layout
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.selection import selected
from zoospectra.zoo.checkpoint.shards import WEIGHTS
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.fetch.locator import is_remote


def open_checkpoint(path: str) -> Checkpoint:
    """Open a weight file, or a folder with config.json and weights; reads headers, never tensors.

    A file of several nets gives the model among them; 'gan.pth#netD' opens another one of its nets.

    A remote locator (see zoo.fetch.locator) is opened by its header too. Every failure is a CheckpointError whose
    reason is a zoo.checkpoint.trouble.Reason: 'unreadable', 'unsafe', 'missing_reader', 'no_tensors', ...
    """
    if is_remote(path):
        from zoospectra.zoo.checkpoint.remote import (
            open_remote,  # clients of the network are not loaded for local files
        )

        return open_remote(path, open_checkpoint)
    where, net = place(path)
    published = Path(where).is_dir()
    kind = folder_format(Path(where)) if published else None
    own = reader_of(kind) if kind else None
    checkpoint = own(where) if own else open_folder(where, _open_file) if published else _open_file(where)
    if Path(where).name in WEIGHTS:  # one file of a model's folder: its configuration lies beside it
        config, skips = configs(Path(where).parent)
        published = bool(config)
        checkpoint = replace(checkpoint, config={**checkpoint.config, **config}, skips=(*checkpoint.skips, *skips))
    checkpoint = selected(checkpoint, path, net, published=published or checkpoint.format == "gguf")
    if not checkpoint.tensors:
        left = "; ".join(f"{skip.tensor}: {skip.detail}" for skip in checkpoint.skips[:3])
        raise CheckpointError(Reason.NO_TENSORS, f"{path} holds no tensors of a model" + (f" ({left})" if left else ""))
    tensors = checkpoint.tensors
    if checkpoint.format in ("safetensors", "huggingface") and all(
        ref.path.endswith(".safetensors") for ref in tensors
    ):
        tensors = torch_layout(tensors, checkpoint.config)
    return replace(
        checkpoint,
        tensors=tuple(replace(ref, name=_encodable(ref.name)) for ref in tensors),
        skips=tuple(replace(skip, tensor=skip.tensor and _encodable(skip.tensor)) for skip in checkpoint.skips),
    )


def place(path: str) -> tuple[str, str | None]:
    """Absolute path of a file or folder, and the net in it that a '#' names; a file may have a '#' in its name."""
    where = str(Path(path).absolute())
    file, mark, net = where.rpartition("#")
    return (file, net) if mark and not Path(where).exists() and Path(file).exists() else (where, None)


def _open_file(path: str) -> Checkpoint:
    """Open one file by its format."""
    name = format_of(path)
    reader = reader_of(name)
    if reader is None:
        known = FORMATS[name]
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{known.title}: no reader for this format; {known.refused}")
    return reader(path)


def _encodable(name: str) -> str:
    """A name that every table can hold: lone surrogates, which JSON and pickle allow, are escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
