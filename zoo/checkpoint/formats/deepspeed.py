"""DeepSpeed ZeRO folders (global_step100/): the module, or at stage 3 the partitioned float32 weights of all ranks.

Stages 1 and 2 keep the whole module in mp_rank_00_model_states.pt. At stage 3 that file has shapes only, and every
rank's optim_states.pt holds its part of every weight in one flat vector: weight by weight, ceil(numel / ranks) numbers,
the last rank's padded. Source: deepspeed/utils/zero_to_fp32.py.
Not covered: model parallelism, frozen weights of stage 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

from zoospectra.zoo.checkpoint.formats.folders import DEEPSPEED
from zoospectra.zoo.checkpoint.formats.pickled import Tensor
from zoospectra.zoo.checkpoint.formats.torch_zip import Refer, loaded, open_torch_zip
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

OPTIMIZER = re.compile(r"(?:bf16_)?zero_pp_rank_(?P<rank>\d+)_mp_rank_(?P<part>\d+)_optim_states\.pt")
"""A rank's part of the optimizer."""


def open_deepspeed(path: str) -> Checkpoint:
    """Weights of a ZeRO checkpoint; CheckpointError when ranks are missing or the layout is not known."""
    folder = Path(path)
    models = sorted(file for file in folder.iterdir() if DEEPSPEED.fullmatch(file.name))
    ranks = sorted((m for f in folder.iterdir() if (m := OPTIMIZER.fullmatch(f.name))), key=lambda m: int(m["rank"]))
    if len({re.findall(r"mp_rank_(\d+)", file.name)[0] for file in models}) > 1:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{folder.name}: parts of a model-parallel module")
    root, _ = _loaded(models[0])
    shapes = root.get("param_shapes")
    if not (models[0].name.startswith("zero_pp_rank") and isinstance(shapes, (list, dict)) and shapes):
        opened = open_torch_zip(str(models[0]))
        left = tuple(Skip(m[0], Reason.OPTIMIZER_STATE, "a rank's optimizer", False) for m in ranks)
        return replace(opened, format="deepspeed", skips=(*opened.skips, *left))
    return _stage_3(folder, shapes if isinstance(shapes, list) else [shapes], models, [m[0] for m in ranks])


def _stage_3(folder: Path, groups: list[object], models: list[Path], names: list[str]) -> Checkpoint:
    """Weights that are partitioned over all ranks."""
    flats = [_flat(folder / name) for name in names]
    shapes = {name: shape for group in groups for name, shape in _shapes(group).items()}
    written = {count for _, count in flats if count is not None} | {len(models)}
    numbered = {int(re.findall(r"\d+", name.removeprefix("bf16_"))[0]) for name in names}
    if not flats or written != {len(flats)} or numbered != set(range(len(flats))):
        detail = f"{folder.name}: {len(flats)} ranks' optimizers of {max(written)}: the weights of stage 3 are in all"
        raise CheckpointError(Reason.UNREADABLE, detail)
    lengths = {sum(ref.shape[0] for ref in flat) for flat, _ in flats}
    needed = sum(-(-prod(shape) // len(flats)) for shape in shapes.values())
    if len(lengths) > 1 or min(lengths) < needed:
        detail = f"{folder.name}: ranks hold vectors of {sorted(lengths)[:4]} numbers, the shapes need {needed}"
        raise CheckpointError(Reason.UNREADABLE, detail)
    refs: list[TensorRef] = []
    at = 0
    for name, shape in shapes.items():
        each = -(-prod(shape) // len(flats))
        parts: list[TensorRef] = []
        for rank, (flat, _) in enumerate(flats):
            wanted = min(each, max(prod(shape) - rank * each, 0))
            parts += _cut(flat, at, wanted)
        at += each
        nbytes = sum(part.nbytes for part in parts)
        first = parts[0] if parts else flats[0][0][0]
        refs.append(TensorRef(name, first.path, first.dtype, shape, None, 0, nbytes, parts=tuple(parts)))
    return Checkpoint("deepspeed", tuple(refs))


def _loaded(path: Path) -> tuple[dict[object, object], Refer]:
    """What a file of torch's holds, where that is a dict, and where its tensors lie."""
    held = loaded(str(path), 0, path.stat().st_size)
    return held.root if isinstance(held.root, dict) else {}, held.refer


def _shapes(group: object) -> dict[str, tuple[int, ...]]:
    """Shapes of a group's weights, in their order."""
    items = group.items() if isinstance(group, dict) else ()
    return {
        name: tuple(shape)
        for name, shape in items
        if isinstance(name, str) and isinstance(shape, (tuple, list)) and all(type(n) is int and n >= 0 for n in shape)
    }


def _flat(path: Path) -> tuple[list[TensorRef], int | None]:
    """The flat float32 vectors of one rank, and the number of ranks that it knows."""
    root, refer = _loaded(path)
    state = root.get("optimizer_state_dict")
    held = state.get("fp32_flat_groups") if isinstance(state, Mapping) else None
    vectors = [value for value in held if isinstance(value, Tensor)] if isinstance(held, (list, tuple)) else []
    if not vectors or any(len(vector.shape) != 1 or vector.stride is not None for vector in vectors):
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path.name} has no fp32_flat_groups")
    count = state.get("partition_count") if isinstance(state, Mapping) else None
    refs = [refer(f"group_{number}", vector) for number, vector in enumerate(vectors)]
    return refs, count if type(count) is int else None


def _cut(flat: list[TensorRef], at: int, count: int) -> list[TensorRef]:
    """Numbers at to at + count of vectors that follow each other."""
    parts, begin = [], 0
    for ref in flat:
        width = ref.nbytes // max(ref.shape[0], 1)
        first, stop = max(at, begin), min(at + count, begin + ref.shape[0])
        if first < stop:
            offset = ref.offset + (first - begin) * width
            parts.append(replace(ref, shape=(stop - first,), offset=offset, nbytes=(stop - first) * width))
        begin += ref.shape[0]
    return parts
