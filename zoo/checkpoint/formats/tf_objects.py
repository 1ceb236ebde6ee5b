"""The graph of objects that a TensorFlow 2 checkpoint keeps: the names that its variables have in their model.

Keys of a checkpoint are paths through attributes and lists ('variables/0'); the graph says the variable's own name
('sequential/conv2d/kernel') beside each key. Protocol: tensorflow/core/protobuf/trackable_object_graph.proto.
"""

from __future__ import annotations

import numpy as np

from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, fields, text, varint
from zoospectra.zoo.checkpoint.mapped import reach

MAX_OBJECTS = 1_000_000
"""Most objects and attributes."""

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


def names_of(path: str, offset: int, size: int) -> dict[str, str]:
    """Key -> name of the variables, from the tensor of one string that holds the graph; CheckpointError: damaged."""
    data = reach(np.memmap(path, dtype=np.uint8, mode="r")[offset : offset + size])
    # A string tensor: the length as a varint, a checksum of four bytes, the bytes.
    length, at = varint(data, 0, len(data))
    start, count = at + 4, 0
    names: dict[str, str] = {}
    for node in fields(data, start, min(start + length, len(data))):
        if node.number != 1 or node.wire != BYTES:
            continue
        for item in fields(data, node.start, node.stop):
            count += 1
            if count > MAX_OBJECTS:
                return names
            if item.number == 2 and item.wire == BYTES:  # an attribute: 1 name, 2 full name, 3 key
                words = {part.number: text(data, part) for part in fields(data, item.start, item.stop)}
                if words.get(1) == "VARIABLE_VALUE" and words.get(2) and words.get(3):
                    names[words[3]] = words[2]
    return names
