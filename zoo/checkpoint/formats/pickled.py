"""What a torch pickle can hold once nothing in it is executed: plain data, storages, tensors, and inert objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import MAX_REPEATED, contiguous_stride, span
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

MAX_DIMS = 64
"""Most dimensions of a tensor, torch's own limit."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name the pickle refers to; it is never imported."""

    module: str
    """Dotted module."""
    name: str
    """Dotted name inside the module."""

    @property
    def path(self) -> str:
        """'module.name'."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class LongString:
    """A long byte string that was left where it is."""

    start: int
    """First byte, in the buffer that was loaded."""
    length: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of elements that tensors are views of; a pickle refers to it by key."""

    key: str
    """Name of the block inside the checkpoint."""
    dtype: str | None
    """Element type; None for bytes without a type, whose tensors say theirs."""
    numel: int
    """Elements (bytes when dtype is None)."""
    begin: int = 0
    """First byte inside the block, for views of old files."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage."""

    storage: Storage
    """Where the elements are."""
    dtype: str
    """Element type in torch's words."""
    start: int
    """First element, from the beginning of the storage."""
    shape: tuple[int, ...]
    """Logical shape."""
    stride: tuple[int, ...] | None
    """Strides in elements; None when C-contiguous."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A tensor that cannot be referred to; its siblings can."""

    reason: Reason
    """Why."""
    detail: str
    """What was found."""
    failed: bool = True
    """Whether it could be a weight."""


@dataclass(slots=True, eq=False)
class Inert:
    """An object of some class, never built: only what its pickle said about it."""

    made_by: object
    """Class or function that would have been called."""
    args: object
    """What it would have been called with."""
    state: object = None
    """What it would have been restored to."""
    items: dict[object, object] | None = None
    """What would have been put into it by key."""


STORAGES: dict[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "ComplexHalfStorage": "complex32",
}
"""torch's storage classes -> element type; their CUDA twins have the same names in torch.cuda.
Types that are not read are named so that their tensors can be refused one by one."""

ALIASES: dict[str, str] = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "cfloat": "complex64",
    "cdouble": "complex128",
}
"""Other names that torch has for its element types."""


def storage_type(kind: object) -> str | None:
    """Element type of a storage class; None for an untyped storage; CheckpointError for an unknown one."""
    if isinstance(kind, Global) and kind.module.split(".")[0] == "torch":
        if kind.name == "UntypedStorage":
            return None
        if kind.name in STORAGES:
            return STORAGES[kind.name]
    raise CheckpointError(Reason.UNSUPPORTED_DTYPE, f"storage of class {_show(kind)} is not read")


def build(made_by: object, args: object, depth: int = 0) -> object:
    """What calling `made_by(*args)` gives here: a tensor or container for a name of BUILDERS, else an inert object.

    Raises CheckpointError when the arguments of a tensor are not what torch writes.
    """
    if isinstance(made_by, Global) and isinstance(args, tuple):
        if made_by.path in FROM_TYPE and depth == 0 and len(args) >= 3:
            return build(args[0], args[2], depth + 1)
        builder = BUILDERS.get(made_by.path)
        if builder is not None:
            return builder(args)
    return Inert(made_by, args)


def _show(value: object) -> str:
    return value.path[:120] if isinstance(value, Global) else type(value).__name__


def _tensor(args: tuple[object, ...]) -> Tensor | Refused:
    """_rebuild_tensor(storage, start, shape, stride) and its successors, which add arguments behind."""
    if len(args) < 4 or not isinstance(args[0], Storage):
        raise CheckpointError(Reason.UNREADABLE, f"a tensor is built from {[_show(a) for a in args[:4]]}")
    return _view(args[0], args[0].dtype, args[1], args[2], args[3])


def _tensor_v3(args: tuple[object, ...]) -> Tensor | Refused:
    """_rebuild_tensor_v3(storage, start, shape, stride, requires_grad, hooks, dtype, ...): untyped storages."""
    if len(args) < 7 or not isinstance(args[0], Storage) or not isinstance(args[6], Global):
        raise CheckpointError(Reason.UNREADABLE, f"a tensor is built from {[_show(a) for a in args[:7]]}")
    name = args[6].name
    return _view(args[0], ALIASES.get(name, name), args[1], args[2], args[3])


def _view(storage: Storage, dtype: str | None, start: object, shape: object, stride: object) -> Tensor | Refused:
    """A tensor after its bounds are checked against its storage."""
    if dtype is None or dtype not in types.CARRIERS:
        return Refused(Reason.UNSUPPORTED_DTYPE, f"torch type {str(dtype)[:40]} is not read")
    if type(start) is not int or start < 0:
        raise CheckpointError(Reason.UNREADABLE, f"a tensor starts at {str(start)[:40]}")
    shape, stride = _counts(shape), _counts(stride)
    if len(shape) != len(stride):
        raise CheckpointError(Reason.UNREADABLE, f"a tensor of shape {shape} has strides {stride}")
    room = storage.numel if storage.dtype is not None else storage.numel // types.itemsize(dtype)
    if 0 in shape:
        return Tensor(storage, dtype, 0, shape, None)
    if math.prod(shape) > max(room, MAX_REPEATED):
        # expand() makes a tensor larger than its storage: a few bytes could ask for any amount of memory.
        detail = f"shape {shape} is {math.prod(shape)} elements, its storage holds {room}"
        return Refused(Reason.EXPANDED, detail, dtype in types.FLOATING)
    if start + span(shape, stride) > room:
        return Refused(
            Reason.UNSAFE, f"shape {shape}, strides {stride} from {start} reach beyond {room} stored elements"
        )
    return Tensor(storage, dtype, start, shape, None if _is_contiguous(shape, stride) else stride)


def _counts(value: object) -> tuple[int, ...]:
    """A shape or strides as a tuple of non-negative integers."""
    if isinstance(value, (tuple, list)) and len(value) <= MAX_DIMS and all(type(v) is int and v >= 0 for v in value):
        return tuple(value)
    raise CheckpointError(Reason.UNREADABLE, f"expected a shape or strides, got {type(value).__name__}")


def _is_contiguous(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the strides are C order; those of axes of one element do not matter."""
    wanted = contiguous_stride(shape)
    return 0 in shape or all(size == 1 or a == b for size, a, b in zip(shape, stride, wanted, strict=True))


def _first(args: tuple[object, ...]) -> object:
    """Parameters wrap a tensor and add nothing that matters here."""
    return args[0] if args else None


def _mapping(args: tuple[object, ...]) -> dict[object, object]:
    """Ordered and default dicts: empty, or from pairs as Python 2 wrote them."""
    if not args or not isinstance(args[0], list):
        return {}
    mapping: dict[object, object] = {}
    for pair in args[0]:
        if isinstance(pair, (tuple, list)) and len(pair) == 2 and type(pair[0]) in (str, int):
            mapping[pair[0]] = pair[1]
    return mapping


def _refused(what: str) -> Callable[[tuple[object, ...]], Refused]:
    return lambda args: Refused(Reason.UNSUPPORTED_DTYPE, f"{what} are not read")


BUILDERS: dict[str, Callable[[tuple[object, ...]], object]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.parameter.Buffer": _first,
    "torch.autograd.variable.Variable": _first,
    "torch.Size": _first,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda args: {},
    "torch._utils._rebuild_qtensor": _refused("quantised torch tensors"),
    "torch._utils._rebuild_sparse_tensor": _refused("sparse tensors"),
    "torch._utils._rebuild_nested_tensor": _refused("nested tensors"),
    "torch._utils._rebuild_wrapper_subclass": _refused("tensor subclasses without a storage"),
    "torch._utils._rebuild_meta_tensor_no_storage": _refused("tensors without data (device 'meta')"),
    "torch._utils._rebuild_device_tensor_from_numpy": _refused("tensors pickled as numpy arrays"),
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "numpy.core.multiarray._reconstruct": _refused("numpy arrays inside a pickle"),
    "numpy._core.multiarray._reconstruct": _refused("numpy arrays inside a pickle"),
}
"""The only calls that give anything but an inert object; every one is a pure function of plain data."""

FROM_TYPE = frozenset({"torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2"})
"""Subclasses of Tensor: (function, class, arguments, state), the function being one of the others."""
