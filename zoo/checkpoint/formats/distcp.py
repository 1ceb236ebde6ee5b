"""torch.distributed.checkpoint (FSDP, Megatron Core, torchtitan): a folder of .distcp files and their .metadata.

.metadata is a pickle that says which range of which file holds which part of which tensor; every part is a torch zip of
its own, one behind the other. Parts along any axes are put together when the tensor is read. Nothing is executed.
Not covered: parts that were transformed (compressed) on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from zoospectra.zoo.checkpoint.formats.pickled import Inert, Storage, Tensor
from zoospectra.zoo.checkpoint.formats.torch_state import checkpoint
from zoospectra.zoo.checkpoint.formats.torch_zip import open_range
from zoospectra.zoo.checkpoint.formats.unpickler import MAX_PICKLE, unpickle
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip, missing

METADATA = ".metadata"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a tensor."""

    origin: tuple[int, ...]
    """Its first index along every axis."""
    ref: TensorRef
    """Where it lies."""


def open_distcp(path: str) -> Checkpoint:
    """Tensors of a distributed checkpoint; CheckpointError for one of its files alone, or damaged."""
    folder = Path(path)
    if not folder.is_dir():
        raise CheckpointError(Reason.UNREADABLE, f"{path}: a part of a distributed checkpoint without its {METADATA}")
    file = folder / METADATA
    try:
        if file.stat().st_size > MAX_PICKLE:
            raise CheckpointError(Reason.UNSAFE, f"{METADATA} is larger than {MAX_PICKLE} bytes")
        code = file.read_bytes()
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{file}: {error}") from error
    root, _, names = unpickle(code, 0, len(code), _nothing)
    described = _state(root)
    sizes = {fqn: _sizes(entry) for fqn, entry in _mapping(described.get("state_dict_metadata")).items()}
    parts: dict[str, list[Part]] = {}
    skips: list[Skip] = []
    for key, info in _pairs(described.get("storage_data")):
        fqn = key.get("fqn")
        if not isinstance(fqn, str) or sizes.get(fqn) is None:
            continue  # bytes and no tensor: steps, groups of parameters
        part = _part(folder, fqn, key, info)
        if isinstance(part, Skip):
            skips.append(part)
        else:
            parts.setdefault(fqn, []).append(part)
    refs: dict[str, TensorRef] = {}
    for fqn, shape in sizes.items():
        if shape is not None and fqn in parts:
            whole = _whole(fqn, shape, parts[fqn])
            if isinstance(whole, Skip):
                skips.append(whole)
            else:
                refs[fqn] = whole
    lost = [fqn for fqn, shape in sizes.items() if shape is not None and fqn not in parts]
    skips += [
        Skip(fqn, Reason.UNREADABLE, "no file has it", True) for fqn in lost if fqn not in {s.tensor for s in skips}
    ]
    tree = _tree(refs, _mapping(described.get("planner_data")))
    made = checkpoint("distcp", tree, names, lambda name, tensor: replace(refs[tensor.storage.key], name=name))
    return replace(made, skips=(*made.skips, *skips))


def _nothing(reference: object) -> object:
    """Persistent references, which this pickle has none of."""
    raise CheckpointError(Reason.UNREADABLE, f"{METADATA} refers to a storage")


def _state(value: object) -> dict[object, object]:
    """Fields of a pickled record; empty for anything else."""
    state = value.state if isinstance(value, Inert) else None
    if isinstance(state, tuple) and len(state) == 2:  # a record with slots
        state = state[1]
    return state if isinstance(state, dict) else {}


def _mapping(value: object) -> Mapping[str, object]:
    """Entries of a dict with text for keys."""
    return {k: item for k, item in value.items() if isinstance(k, str)} if isinstance(value, dict) else {}


def _pairs(value: object) -> list[tuple[dict[object, object], dict[object, object]]]:
    """(index, place) of every part."""
    items = value.items() if isinstance(value, dict) else ()
    return [(_state(key.args), _state(info)) for key, info in items if isinstance(key, Inert)]


def _sizes(entry: object) -> tuple[int, ...] | None:
    """Shape of a tensor; None for what is none."""
    size = _state(entry).get("size")
    return _counts(size) if "chunks" in _state(entry) else None


def _counts(value: object) -> tuple[int, ...] | None:
    """A tuple of non-negative integers; None for anything else."""
    if isinstance(value, (tuple, list)) and len(value) <= 64 and all(type(v) is int and v >= 0 for v in value):
        return tuple(value)
    return None


def _part(folder: Path, fqn: str, key: dict[object, object], info: dict[object, object]) -> Part | Skip:
    """One part of a tensor; a Skip when it is not where it should be."""
    name, offset, length = info.get("relative_path"), info.get("offset"), info.get("length")
    if not isinstance(name, str) or name.startswith(".") or any(c in name for c in "/\\\0") or len(name) > 255:
        return Skip(fqn, Reason.UNSAFE, f"its file is {str(name)[:80]!r}: expected a plain name in the folder", True)
    file = folder / name
    if type(offset) is not int or type(length) is not int or offset < 0 or length < 0 or file.is_symlink():
        return Skip(fqn, Reason.UNSAFE, f"bytes {str(offset)[:20]} and {str(length)[:20]} more of {name[:80]!r}", True)
    if not file.is_file() or offset + length > file.stat().st_size:
        return Skip(fqn, missing(file), f"{name}: missing, or it ends before byte {offset + length}", True)
    if info.get("transform_descriptors"):
        return Skip(fqn, Reason.UNSUPPORTED_FORMAT, f"{name}: its parts were transformed when they were written", True)
    try:
        held = open_range(str(file), offset, length)
    except CheckpointError as error:
        return Skip(fqn, error.reason, f"{name} at byte {offset}: {error.detail}", True)
    leaves = [leaf for net in (held.contents.nets if held.contents else ()) for _, leaf in net.leaves]
    if len(leaves) != 1 or not isinstance(leaves[0].value, TensorRef):
        return Skip(fqn, Reason.UNREADABLE, f"{name} at byte {offset}: {len(leaves)} tensors, expected one", True)
    ref = leaves[0].value
    return Part(_counts(key.get("offset")) or (0,) * len(ref.shape), ref)


def _whole(fqn: str, shape: tuple[int, ...], parts: list[Part]) -> TensorRef | Skip:
    """The tensor that parts make; a Skip when they do not make it. A part that several ranks hold counts once."""
    distinct = {part.origin: part.ref for part in parts}
    held = {origin: ref for origin, ref in distinct.items() if 0 not in ref.shape or 0 in shape}
    ref = _joined(held, 0, len(shape))
    if ref is None or ref.shape != shape or any(len(origin) != len(shape) for origin in distinct):
        made = "no tensor" if ref is None else f"{ref.shape}"
        return Skip(fqn, Reason.UNREADABLE, f"{len(distinct)} parts make {made}, expected {shape}", True)
    return replace(ref, name=fqn)


def _joined(parts: dict[tuple[int, ...], TensorRef], axis: int, dims: int) -> TensorRef | None:
    """Parts put together along an axis and those behind it; None when there are gaps or overlaps."""
    if len(parts) == 1 and (axis > 0 or dims == 0 or next(iter(parts))[axis : axis + 1] in ((0,), ())):
        return next(iter(parts.values()))
    if axis >= dims or not parts:
        return None
    groups: dict[int, dict[tuple[int, ...], TensorRef]] = {}
    for origin, ref in parts.items():
        if len(origin) != dims:
            return None
        groups.setdefault(origin[axis], {})[origin] = ref
    at = 0
    joined: list[TensorRef] = []
    for start in sorted(groups):
        inner = _joined(groups[start], axis + 1, dims)
        if inner is None or start != at or len(inner.shape) != dims:
            return None
        at += inner.shape[axis]
        joined.append(inner)
    first = joined[0]
    sides = {(*ref.shape[:axis], *ref.shape[axis + 1 :], ref.dtype) for ref in joined}
    if len(sides) > 1:
        return None
    if len(joined) == 1:
        return first
    shape = (*first.shape[:axis], at, *first.shape[axis + 1 :])
    nbytes = sum(ref.nbytes for ref in joined)
    return TensorRef(first.name, first.path, first.dtype, shape, None, 0, nbytes, parts=tuple(joined), axis=axis)


def _tree(refs: Mapping[str, TensorRef], paths: Mapping[str, object]) -> dict[object, object]:
    """Tensors in the containers that were saved, which .metadata remembers as tuples of keys."""
    tree: dict[object, object] = {}
    for fqn, ref in refs.items():
        path = paths.get(fqn)
        keys = path if isinstance(path, tuple) and path and all(type(k) in (str, int) for k in path) else (fqn,)
        level = tree
        for key in keys[:-1]:
            inner = level.setdefault(key, {})
            level = inner if isinstance(inner, dict) else tree
        storage = Storage(fqn, ref.dtype, prod(ref.shape))
        level[keys[-1]] = Tensor(storage, ref.dtype, 0, ref.shape, None)
    return tree
