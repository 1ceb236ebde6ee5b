"""Readers of checkpoints, one file a format; `open_checkpoint` picks one by what a file holds.

A reader looks at headers only and gives references to tensors. None executes anything from a file.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from zoospectra.zoo.checkpoint.folder import TRAINING
from zoospectra.zoo.checkpoint.formats import safetensors
from zoospectra.zoo.checkpoint.formats.folders import folder_format
from zoospectra.zoo.checkpoint.formats.huggingface import configs, open_folder
from zoospectra.zoo.checkpoint.formats.memory import SCHEME
from zoospectra.zoo.checkpoint.formats.sharded import files_of, open_sharded
from zoospectra.zoo.checkpoint.formats.signature import format_of
from zoospectra.zoo.checkpoint.formats.table import FORMATS
from zoospectra.zoo.checkpoint.layout import torch_layout
from zoospectra.zoo.checkpoint.pair import Pair, pair_of, paired
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.selection import selected
from zoospectra.zoo.checkpoint.shards import WEIGHTS
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.checkpoint.windows import MEMORY
from zoospectra.zoo.fetch.locator import is_remote

SUFFIX = ".safetensors"
"""How a file ends whose kernels may be laid out as another library does."""

LONGEST = 1 << 16
"""Bytes of the longest header that is kept for the next file that has it: checkpoints of one net in many states do."""

WITH_NETS = ("torch_zip", "torch_legacy", "safetensors")
"""Formats whose files may hold several nets."""


def open_checkpoint(path: str) -> Checkpoint:
    """Open a weight file, or a folder with config.json and weights; reads headers, never tensors.

    A file of several nets gives the model among them; 'gan.pth#netD' opens another one of its nets. An adapter with its
    base is 'ADAPTER#merged=BASE' or 'ADAPTER#base=BASE' (zoo.checkpoint.pair).

    A remote locator (see zoo.fetch.locator) is opened by its header too. Every failure is a CheckpointError whose
    reason is a zoo.checkpoint.trouble.Reason: 'unreadable', 'unsafe', 'missing_reader', 'no_tensors', ...
    """
    pair = pair_of(path)
    if pair is not None:
        return _paired(pair)
    if is_remote(path):
        from zoospectra.zoo.checkpoint.remote import (
            open_remote,  # clients of the network are not loaded for local files
        )

        return open_remote(path, open_checkpoint)
    where, net = place(path)
    folder = os.path.isdir(where)
    published = path.startswith(SCHEME) or folder
    kind = folder_format(Path(where)) if folder else None
    if kind is not None:
        checkpoint = _opened(kind, where)
    elif folder:
        checkpoint = open_folder(where, _open_file)
    else:
        sharded = None if path.startswith(SCHEME) else open_sharded(Path(where), _open_file)
        if sharded is None and net is None and (alone := _alone(where)) is not None:
            return alone
        checkpoint = sharded or _open_file(where)
    if Path(where).name in WEIGHTS:  # one file of a model's folder: its configuration lies beside it
        config, skips = configs(Path(where).parent)
        published = bool(config)
        checkpoint = replace(checkpoint, config={**checkpoint.config, **config}, skips=(*checkpoint.skips, *skips))
    checkpoint = selected(checkpoint, path, net, published=published or checkpoint.format == "gguf")
    if not checkpoint.tensors:
        left = "; ".join(f"{skip.tensor}: {skip.detail}" for skip in checkpoint.skips[:3])
        blocked = any(skip.reason is Reason.INACCESSIBLE for skip in checkpoint.skips)
        reason = Reason.INACCESSIBLE if blocked else Reason.NO_TENSORS
        raise CheckpointError(reason, f"{path} holds no tensors of a model" + (f" ({left})" if left else ""))
    return _laid_out(checkpoint)


def _laid_out(checkpoint: Checkpoint) -> Checkpoint:
    """Tensors in torch's layout, under names that every table can hold."""
    tensors = checkpoint.tensors
    if checkpoint.format in ("safetensors", "huggingface") and all(ref.path.endswith(SUFFIX) for ref in tensors):
        tensors = torch_layout(tensors, checkpoint.config)
    return replace(
        checkpoint,
        tensors=tuple(replace(ref, name=_encodable(ref.name)) for ref in tensors),
        skips=tuple(replace(skip, tensor=skip.tensor and _encodable(skip.tensor)) for skip in checkpoint.skips),
    )


def _alone(where: str) -> Checkpoint | None:
    """A safetensors file that is one net by itself, as any other file with the same header; None for all others."""
    named = where.endswith(SUFFIX) and Path(where).name not in WEIGHTS
    if not named or format_of(where) != "safetensors":
        return None
    text, size = safetensors.header_of(where)
    same = _by_header(text, size) if len(text) <= LONGEST else None
    if same is None:
        return None
    tensors = (TensorRef(r.name, where, r.dtype, r.shape, r.stride, r.offset, r.nbytes) for r in same.tensors)
    return replace(same, tensors=tuple(tensors))


@lru_cache(maxsize=16)
def _by_header(text: bytes, size: int) -> Checkpoint | None:
    """What the header of a file of `size` bytes says, but for its path; None where that matters, or it is wrong."""
    try:
        checkpoint = selected(safetensors.described(SUFFIX, text, size), SUFFIX, None)
    except CheckpointError:
        return None
    held = checkpoint.contents
    if not checkpoint.tensors or held is None or len(held.nets) != 1 or held.rest:
        return None
    return _laid_out(checkpoint)


def _paired(pair: Pair) -> Checkpoint:
    """An adapter and its base; trouble with the base says so."""
    adapter = open_checkpoint(pair.adapter)
    try:
        base = open_checkpoint(pair.base)
    except CheckpointError as error:
        raise CheckpointError(error.reason, f"the base {pair.base[:200]} of {pair.adapter}: {error.detail}") from error
    return paired(pair, adapter, base)


def listed_nets(path: str) -> tuple[str, ...] | None:
    """Names of the models of a file: none when it holds the state of training alone; None for one under its own name.

    Reads the header of torch and safetensors files only; what cannot be read is one model, which fails when opened.
    """
    trained = TRAINING.fullmatch(Path(path).name) is not None
    try:
        kind = format_of(path)
        if len(files_of(Path(path))) > 1 or kind not in WITH_NETS:
            return () if trained and kind == "pickle" else None
        contents = selected(_opened(kind, path), path, None).contents
    except CheckpointError:
        return () if trained else None
    assert contents is not None
    if not contents.nets or (
        trained and not any(leaf.shape and leaf.matrix for net in contents.nets for _, leaf in net.leaves)
    ):
        return () if trained or contents.rest else None
    listed = tuple(net.name for net in contents.nets if net.listed)
    return listed if len(listed) > 1 else None


def place(path: str) -> tuple[str, str | None]:
    """Absolute path of a file or folder, and the net in it that a '#' names; a file may have a '#' in its name."""
    if path.startswith(SCHEME):
        return path, None
    where = str(Path(path).absolute())
    file, mark, net = where.rpartition("#")
    return (file, net) if mark and not Path(where).exists() and Path(file).exists() else (where, None)


def _open_file(path: str) -> Checkpoint:
    """Open one file by its format."""
    return _opened(MEMORY if path.startswith(SCHEME) else format_of(path), path)


def _opened(name: str, path: str) -> Checkpoint:
    """Open a file or folder that is in a format."""
    known = FORMATS[name]
    if known.reader is None:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{known.title}: no reader for this format; {known.refused}")
    return known.reader(path)


def _encodable(name: str) -> str:
    """A name that every table can hold: lone surrogates, which JSON and pickle allow, are escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
