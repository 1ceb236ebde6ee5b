"""What TensorFlow's files share: its types, shapes as protocol buffers, and names of variables."""

from __future__ import annotations

from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, fields
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

DTYPES: dict[int, str] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
}
"""DataType of tensorflow/core/framework/types.proto -> torch's name, and 'string' for text."""

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""End of the names of variables in TensorFlow 2."""

MAX_DIMS = 64


def shape_of(data: AnyArray, start: int, stop: int) -> tuple[int, ...]:
    """Shape that a TensorShapeProto says: 2 dim, of which 1 is the size; CheckpointError when it is none."""
    sizes: list[int] = []
    for item in fields(data, start, stop):
        if item.number != 2 or item.wire != BYTES:
            continue
        inner = [part.value for part in fields(data, item.start, item.stop) if part.number == 1 and part.wire == VARINT]
        sizes.append(inner[0] if inner else 0)
        if len(sizes) > MAX_DIMS or sizes[-1] >= 1 << 62:
            raise CheckpointError(Reason.UNREADABLE, f"a TensorFlow shape of {sizes[:8]!s}: none")
    return tuple(sizes)


def module_name(key: str) -> str:
    """Name of a variable without what TensorFlow adds."""
    return key.partition(VALUE)[0].replace(".S", "/") if VALUE in key else key
