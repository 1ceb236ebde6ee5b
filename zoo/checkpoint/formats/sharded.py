"""A model in several files without an index of tensors: numbered parts, ranks, Keras' shards. Opened by any of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from zoospectra.zoo.checkpoint.folder import INDEX
from zoospectra.zoo.checkpoint.formats.ranks import joined
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.selection import selected
from zoospectra.zoo.checkpoint.shards import keras_shards, ranks_of, small, split_of
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip, missing

STAGE = re.compile(r"mp_rank_\d{2,3}_(\d{3})")
"""A rank's folder that names its stage of the pipeline."""


def files_of(path: Path) -> tuple[Path, ...]:
    """Files that are read for the model that a file opens; CheckpointError for a bad index."""
    if path.name.endswith(INDEX):
        return tuple(_keras(path))
    return tuple(file for file in split_of(path).values() if file) or tuple(ranks_of(path)) or (path,)


def open_sharded(path: Path, open_file: Callable[[str], Checkpoint]) -> Checkpoint | None:
    """All tensors of a model in several files, each opened with `open_file`; None when the file is a whole model."""
    if path.name.endswith(INDEX):
        return _merged(((file.name, file) for file in _keras(path)), open_file)
    parts = split_of(path)
    if len(parts) > 1:
        return _merged(parts.items(), open_file)
    ranks = ranks_of(path)
    if not ranks:
        return None
    stages: dict[str, list[Checkpoint]] = {}
    for file in ranks:
        stage = STAGE.fullmatch(file.parent.name)
        stages.setdefault(stage[1] if stage else "", []).append(_opened(file, open_file))
    models = {stage: joined(held) if len(held) > 1 else held[0] for stage, held in stages.items()}
    first, *later = models.values()
    # Every stage of a pipeline counts its layers from 0.
    moved = [replace(ref, name=f"stage{int(s)}.{ref.name}") for s, m in list(models.items())[1:] for ref in m.tensors]
    skips = [skip for model in later for skip in model.skips]
    return replace(first, tensors=(*first.tensors, *moved), skips=(*first.skips, *skips))


def _keras(index: Path) -> list[Path]:
    """Files that Keras' index names; CheckpointError when one is missing."""
    files = [index.parent / name for name in keras_shards(small(index), index.name)]
    lost = [file for file in files if not file.is_file()]
    if lost:
        raise CheckpointError(missing(lost[0]), f"shard {lost[0].name} is missing: it is in {index.name}")
    return files


def _opened(file: Path, open_file: Callable[[str], Checkpoint]) -> Checkpoint:
    """One file's model as a plain list of tensors."""
    return replace(selected(open_file(str(file)), str(file), None, published=True), contents=None)


def _merged(parts: Iterable[tuple[str, Path | None]], open_file: Callable[[str], Checkpoint]) -> Checkpoint:
    """Tensors of all parts, in their order; a row for a part that is missing, and for a tensor that is there twice."""
    held: list[Checkpoint] = []
    refs: dict[str, TensorRef] = {}
    skips: list[Skip] = []
    for name, file in parts:
        if file is None:
            skips.append(Skip(name, Reason.INACCESSIBLE, "this part of the model is missing", True))
            continue
        part = _opened(file, open_file)
        held.append(part)
        skips += part.skips
        for ref in part.tensors:
            if ref.name in refs:
                skips.append(Skip(ref.name, Reason.UNREADABLE, f"in {name} once more", True))
            else:
                refs[ref.name] = ref
    config = {key: value for part in reversed(held) for key, value in part.config.items()}
    seen = tuple(sorted({name for part in held for name in part.globals_seen}))
    return Checkpoint(held[0].format, tuple(refs.values()), tuple(skips), seen, config)
