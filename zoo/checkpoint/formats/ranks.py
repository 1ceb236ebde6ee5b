"""Ranks of a tensor-parallel model, each with a part of every matrix, as one model.

Which axis was cut is told by the model's width, the length of its norms' gains: an axis of another length was cut.
Where both or neither have it, the layer's name says whether it is parallel by its inputs. What a rank holds a copy of
is told by its bytes. Sources: Meta's llama/model.py (ColumnParallelLinear, RowParallelLinear),
Megatron-LM's tensor_parallel.
Not covered: parameters of more than two axes that differ from rank to rank, which are refused one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

BLOCK = 1 << 16
"""Bytes of each rank that are compared at a time."""

NORM = re.compile(r"norm|(^|[._])ln(_|\d|[._]|$)")
"""Names of gains."""

BY_INPUTS = re.compile(r"(^|\.)(wo|w2|o_proj|down_proj|out_proj|c_proj|fc2|attention\.dense|dense_4h_to_h)\.weight$")
"""Layers whose inputs are shared out: each rank has some columns."""

BY_OUTPUTS = re.compile(
    r"(^|\.)(w[qkv]|w1|w3|output|lm_head|[qkv]_proj|gate_proj|up_proj|qkv_proj|query_key_value|dense_h_to_4h|fc1|c_fc"
    r"|\w*embed\w*)\.weight$"
)
"""Layers whose outputs are: each rank has some rows."""


def joined(ranks: Sequence[Checkpoint]) -> Checkpoint:
    """One model of the checkpoints of all ranks, in the order of the first; a row for what cannot be put together."""
    by_name = [{ref.name: ref for ref in rank.tensors} for rank in ranks]
    sizes = Counter(ref.shape[0] for ref in ranks[0].tensors if len(ref.shape) == 1 and NORM.search(ref.name.lower()))
    width = sizes.most_common(1)[0][0] if sizes else 0
    refs: list[TensorRef] = []
    skips = [skip for rank in ranks for skip in rank.skips]
    for name in dict.fromkeys(name for rank in by_name for name in rank):
        parts = tuple(rank[name] for rank in by_name if name in rank)
        whole = _whole(parts, len(ranks), width)
        if isinstance(whole, Skip):
            skips.append(whole)
        else:
            refs.append(whole)
    return replace(ranks[0], tensors=tuple(refs), skips=tuple(skips), contents=None)


def _whole(parts: tuple[TensorRef, ...], ranks: int, width: int) -> TensorRef | Skip:
    """The tensor that the ranks' parts make; their first where they all hold the same."""
    first = parts[0]
    if len({(part.shape, part.dtype) for part in parts}) == 1 and _equal(parts):
        return first
    if len(parts) != ranks or len({part.dtype for part in parts}) > 1:
        detail = f"in {len(parts)} of {ranks} ranks, of types {', '.join(sorted({part.dtype for part in parts}))}"
        return Skip(first.name, Reason.UNREADABLE, detail, True)
    axis = cut_axis(first.name, first.shape, ranks, width)
    if axis is None or len({part.shape[:axis] + part.shape[axis + 1 :] for part in parts}) > 1:
        detail = f"{ranks} ranks hold parts of shape {first.shape}: which axis was cut is not known"
        return Skip(first.name, Reason.UNSUPPORTED_SHAPE, detail, True)
    length = sum(part.shape[axis] for part in parts)
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    nbytes = sum(part.nbytes for part in parts)
    return TensorRef(first.name, first.path, first.dtype, shape, None, 0, nbytes, parts=parts, axis=axis)


def cut_axis(name: str, shape: tuple[int, ...], ranks: int, width: int) -> int | None:
    """Axis along which a tensor was cut, from one rank's part of it; None when nothing says. Vectors are cut anyhow."""
    if len(shape) != 2:
        return 0 if len(shape) == 1 else None
    rows, columns = shape
    if (rows == width) != (columns == width):
        return 0 if columns == width else 1
    if rows != width and (rows * ranks == width) != (columns * ranks == width):
        return 0 if rows * ranks == width else 1
    return 1 if BY_INPUTS.search(name) else 0 if BY_OUTPUTS.search(name) else None


def _equal(parts: tuple[TensorRef, ...]) -> bool:
    """Whether the bytes of all ranks are the same, as far as they lie in their files as they are."""
    if any(part.member is not None for part in parts) or len({(part.nbytes, part.stride) for part in parts}) > 1:
        return False
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(Path(part.path).open("rb")) for part in parts]
            for file, part in zip(files, parts, strict=True):
                file.seek(part.offset)
            left = parts[0].nbytes
            while left > 0:  # the first block tells nearly all that differ apart
                if len({file.read(min(BLOCK, left)) for file in files}) > 1:
                    return False
                left -= BLOCK
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{parts[0].name}: {error}") from error
    return True
