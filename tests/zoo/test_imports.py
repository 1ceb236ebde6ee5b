"""What importing the readers costs, and that no file of the zoo needs itself, imports inside functions included."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]

HEAVY = ("torch", "scipy", "pyarrow", "h5py", "onnx", "gguf", "sklearn", "safetensors", "httpx", "httpx2")

DESCRIBED = """
import sys
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import layer_hash, read_layer

checkpoint = open_checkpoint(sys.argv[1])
chosen, skips = layers(checkpoint.tensors, checkpoint.config)
print([layer.longname for layer in chosen], len(skips), read_layer(chosen[0]).shape, len(layer_hash(chosen[0])))
print(sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:])))
"""


def test_a_safetensors_file_is_described_without_heavy_packages(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"fc.weight": np.ones((3, 2), np.float32), "fc.bias": np.ones(3, np.float32)}, path)
    output = subprocess.run(
        [sys.executable, "-c", DESCRIBED, str(path), *HEAVY], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert output.splitlines() == ["['fc'] 1 (3, 2) 64", "[]"]


def modules() -> dict[str, Path]:
    """Every module of the zoo, packages under their own name."""
    files = (ROOT / "zoo").rglob("*.py")
    return {".".join(["zoospectra", *path.relative_to(ROOT).with_suffix("").parts]): path for path in files}


def needs(module: str, path: Path, known: set[str]) -> Iterator[str]:
    """Modules that a file imports anywhere, and the packages that those imports run on the way."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                target = inner if inner in known or f"{inner}.__init__" in known else node.module
                parts = target.split(".")
                runs = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
                # A package has been started by the time that a file inside it runs: that is no need of the file.
                own = {".".join(module.split(".")[:end]) for end in range(1, module.count(".") + 1)}
                yield from (f"{name}.__init__" if f"{name}.__init__" in known else name for name in runs - own)


def test_no_file_of_the_zoo_needs_itself() -> None:
    files = modules()
    graph = {module: set(needs(module, path, set(files))) & files.keys() for module, path in files.items()}
    assert sum(map(len, graph.values())) > 100
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            pytest.fail(" -> ".join([*trail[trail.index(module) :], module]))
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())
