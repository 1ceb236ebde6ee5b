"""Names in ONNX graphs: which module a node is of, which names exporters gave to what they computed. Pure."""

from __future__ import annotations

import re

NUMBERED = re.compile(r"^(?:onnx::\w+|(?:val|const\w*|_v|t|v|x)?_*\d+)$")
"""Names that exporters give to constants that they computed: 'onnx::MatMul_123', '57', 'val_12'."""


def module_of(node: str, operator: str) -> str:
    """Module that a node's name says: 'layer1.0.conv1' for '/layer1/layer1.0/conv1/Conv'; '' for none."""
    parts = [part for part in node.split("/") if part]
    if parts and re.fullmatch(rf"({re.escape(operator)}|MatMul|Gemm|Conv|Gather)(_\w+)?", parts[-1]):
        parts.pop()
    path: list[str] = []
    for part in parts:
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    return ".".join(path)
