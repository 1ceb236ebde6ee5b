"""Run the notebooks of this folder in place and keep their outputs: `python docs/notebooks/make.py [NAME.ipynb ...]`.

Each runs in a process of its own, in an empty folder, cell by cell, without a kernel: what a cell prints, and the value
of its last line as text, HTML or picture, become its outputs. Not covered: widgets, magics, errors that are wanted.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def shown(value: object) -> dict[str, Any]:
    """What a notebook keeps of a value: text always, HTML and PNG where the value has them."""
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if callable(html := getattr(value, "_repr_html_", None)) and (text := html()):
        data["text/html"] = text.splitlines(keepends=True)
    if callable(save := getattr(value, "savefig", None)):
        buffer = io.BytesIO()
        save(buffer, format="png", dpi=80, bbox_inches="tight")
        data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
    return data


def execute(code: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Outputs of one cell."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, outputs = io.StringIO(), []
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)  # noqa: S102 - the notebook is ours
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        result = {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": shown(value)}
        outputs.append(result)
    return outputs


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of its cells, run in the current folder."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate((cell for cell in notebook["cells"] if cell["cell_type"] == "code"), 1):
        cell["outputs"] = execute("".join(cell["source"]), names, number)
        cell["execution_count"] = number
    return notebook


def main() -> None:
    """Run one notebook of standard input to standard output, or those that are named, or all of the folder."""
    if sys.argv[1:] == ["-"]:
        out, sys.stdout = sys.stdout, sys.stderr
        json.dump(run(json.load(sys.stdin)), out, indent=1, ensure_ascii=False)
        return
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "-"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(
                command, input=path.read_bytes(), stdout=subprocess.PIPE, cwd=folder, env=environment, check=True
            )
        path.write_bytes(done.stdout + b"\n")
        print(path.name)


if __name__ == "__main__":
    main()
