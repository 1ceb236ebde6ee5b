"""Public functions of the analysis room say the shapes of their arrays; what they raise: tests/test_house.py."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in (ROOT / "analysis").rglob("*.py") if path.parent.name != "statistics")
# (K,), (S, N, M), (..., M), (out, in, *kernel); or in words, where every shape will do.
SHAPE = re.compile(r"\(\*?(?:\.\.\.|[A-Za-z]\w*'?)(?: [-+] \d)?,[^()]*\)|\bshapes?\b")


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Functions and methods whose names have no underscore in front."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def test_shapes_are_stated() -> None:
    for path, function in ((file, one) for file in FILES for one in public(ast.parse(file.read_text()).body)):
        text = ast.get_docstring(function) or ""
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        if any("Array" in ast.unparse(argument.annotation) for argument in arguments if argument.annotation):
            where = f"{path.relative_to(ROOT)}:{function.name}"
            assert SHAPE.search(text), f"{where} takes an array: state its shape, as in (K,) or (S, N, M)"
