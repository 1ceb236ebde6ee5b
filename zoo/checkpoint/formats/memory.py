"""Tensors that this process holds already: arrays by name, a state dict, a torch module, a Keras model.

References point into the arrays, which are neither copied nor written to a file: only what numpy cannot describe by
strides of whole elements, or what lies on another device, is. They mean nothing in another process. Names and layouts
follow the same rules as in the file that would hold the same: containers and wrappers as in torch's files, kernels as
in Keras' and Flax'. Neither torch nor Keras is imported; what the caller has imported is asked.
Not covered: quantised torch tensors, sparse ones, and tensors without data (meta), which get a Skip.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.pickled import Refused, Storage, Tensor
from zoospectra.zoo.checkpoint.formats.torch_state import checkpoint
from zoospectra.zoo.checkpoint.layout.keras import relaid
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.checkpoint.windows import MEMORY, WINDOWS, Window

SCHEME = "memory:"
"""How the paths of models in memory begin."""

MAX_DEPTH = 64
"""Deepest nesting of mappings that is walked."""

_checkpoints: dict[str, Checkpoint] = {}
"""Models whose context lasts, by path."""

_numbers = itertools.count()


@contextmanager
def in_memory(model: object) -> Iterator[str]:
    """Path by which `open_checkpoint` opens a model of this process for as long as the context lasts.

    model: a torch module, a Keras model, or a mapping of names to tensors or arrays (a state dict, parameters of Flax,
    a training script's dictionary that holds one). Raises ValueError when it is none of these.
    """
    path = f"{SCHEME}{next(_numbers)}"
    _checkpoints[path], WINDOWS[path] = _opened(path, model)
    try:
        yield path
    finally:
        del _checkpoints[path], WINDOWS[path]


def open_memory(path: str) -> Checkpoint:
    """The checkpoint of a model of this process; CheckpointError when its context has ended."""
    if path not in _checkpoints:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: not in this process's memory")
    return _checkpoints[path]


def _opened(path: str, model: object) -> tuple[Checkpoint, tuple[Window, ...]]:
    """References to the tensors of a model, and the bytes that they mean."""
    arrays: list[tuple[str, AnyArray, bool]] = []
    keras = keras_variables(model) is not None
    windows: list[Window] = []

    def refer(name: str, tensor: Tensor) -> TensorRef:
        dtype, array, torch_layout = arrays[int(tensor.storage.key)]
        stride, flat = _window(array)
        ref = TensorRef(name, path, dtype, array.shape, stride, 0, flat.size, str(len(windows)), MEMORY)
        windows.append(flat)
        return ref if torch_layout and not keras else relaid(ref)

    opened = checkpoint(MEMORY, _tree(_members(model), arrays, 0), (), refer)
    return replace(opened, config=_config(model)), tuple(windows)


def _members(model: object) -> Mapping[Any, Any]:
    """What a model holds by name."""
    if isinstance(model, Mapping):
        return model
    if (variables := keras_variables(model)) is not None:  # first: on torch its layers are torch modules too
        return _by_path(variables)
    if callable(state := getattr(model, "state_dict", None)) and isinstance(held := state(), Mapping):
        return held
    kind = type(model)
    msg = (
        f"expected a torch module, a state dict, a mapping of names to arrays, a Keras model, or a path, "
        f"got {kind.__module__}.{kind.__qualname__}"
    )
    raise ValueError(msg)


def keras_variables(model: object) -> Sequence[Any] | None:
    """Variables of a Keras model; None for anything else."""
    found = None if isinstance(model, Mapping) else getattr(model, "weights", None)
    is_list = isinstance(found, list | tuple) and all(hasattr(one, "path") or hasattr(one, "name") for one in found)
    return found if is_list else None


def _by_path(variables: Sequence[Any]) -> dict[str, Any]:
    """Values of Keras' variables by their paths; equal paths, in nested models, get a number."""
    members: dict[str, Any] = {}
    for one in variables:
        name = str(getattr(one, "path", None) or one.name).removesuffix(":0").replace("/", ".")
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
        value = getattr(one, "value", one)
        value = value() if callable(value) else value
        members[next(free for free in names if free not in members)] = value if _is_torch(value) else np.asarray(one)
    return members


def _config(model: object) -> Mapping[str, Any]:
    """The configuration that transformers keeps with a model: what config.json beside its weights would say."""
    to_dict = getattr(getattr(model, "config", None), "to_dict", None)
    config = to_dict() if callable(to_dict) else None
    return config if isinstance(config, dict) else {}


def _tree(value: object, arrays: list[tuple[str, AnyArray, bool]], depth: int) -> object:
    """The same nesting with a record in the place of every tensor, as torch's files give it; arrays go to the list."""
    if depth > MAX_DEPTH:
        raise CheckpointError(Reason.UNSAFE, f"a model nested deeper than {MAX_DEPTH}, or one that holds itself")
    if isinstance(value, Mapping):
        return {key: _tree(inner, arrays, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(inner, arrays, depth + 1) for inner in value]
    if not (_is_torch(value) or (hasattr(value, "shape") and hasattr(value, "dtype"))):
        return None
    carried = _carried(value)
    if isinstance(carried, Refused):
        return carried
    arrays.append(carried)
    return Tensor(Storage(str(len(arrays) - 1), None, 0), carried[0], 0, carried[1].shape, None)


def _is_torch(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _carried(value: Any) -> tuple[str, AnyArray, bool] | Refused:  # noqa: ANN401 - a tensor of any library
    """Element type, elements in the numpy type that carries it, and whether the layout is torch's."""
    is_torch = _is_torch(value)
    dtype = str(value.dtype).removeprefix("torch.") if is_torch else np.dtype(value.dtype).name
    if dtype not in types.CARRIERS:
        return Refused(Reason.UNSUPPORTED_DTYPE, f"elements of type {dtype[:60]} are not read")
    try:
        array = _from_torch(value) if is_torch else np.asarray(value)
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        return dtype, array.view(types.carrier(dtype)), is_torch
    except (
        TypeError,
        ValueError,
        RuntimeError,
        NotImplementedError,
    ) as error:  # meta, sparse, other layouts
        lines = str(error).splitlines() or [""]
        return Refused(Reason.UNSUPPORTED_DTYPE, f"{type(value).__name__}: {lines[0][:200]}")


def _from_torch(tensor: Any) -> AnyArray:  # noqa: ANN401 - torch is not imported here
    """Elements of a tensor in place, where it is on the CPU; what numpy does not know as integers of the same size."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    torch = sys.modules["torch"]
    if tensor.dtype.is_floating_point and tensor.dtype not in (torch.float64, torch.float32, torch.float16):
        tensor = tensor.view({1: torch.uint8, 2: torch.int16}[tensor.itemsize])
    return np.asarray(tensor.numpy())


def _window(array: AnyArray) -> tuple[tuple[int, ...] | None, Window]:
    """Strides in elements (None for C order) and the bytes from the first element to the last, in place if they can be.

    A copy in C order where strides are negative or no whole elements, or repeat elements: read.py refuses those.
    """
    size = array.itemsize
    steps = zip(array.shape, array.strides, strict=True)
    if array.size == 0 or any(length > 1 and (step <= 0 or step % size) for length, step in steps):
        array = np.ascontiguousarray(array)
    if array.flags.c_contiguous:
        flat = array.reshape(-1).view(np.uint8)
        flat.flags.writeable = False
        return None, flat
    last = sum((length - 1) * step for length, step in zip(array.shape, array.strides, strict=True))
    first = as_strided(array, (1,), (size,)).view(np.uint8)
    return tuple(step // size for step in array.strides), as_strided(first, (last + size,), (1,), writeable=False)
