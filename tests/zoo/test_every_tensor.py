"""Every tensor of two or more dimensions is analysed once, left out with a reason, or lost by name: none is forgotten.

An independent reader counts what the files hold (torch's own, and safetensors'); the real zoo and files of every kind
of trainer are counted alike.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open

from tests.zoo.checkpoint.formats.test_torch_files import REFUSED_BY_TORCH, Anything
from tests.zoo.checkpoint.test_nets import CHECKPOINTS
from zoospectra.jobs.work.index import Indexed, IndexRequest, index
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.checkpoint.formats import listed_nets, open_checkpoint
from zoospectra.zoo.checkpoint.selection import containers
from zoospectra.zoo.layers.values import read_layer


def held(value: object, seen: set[int] | None = None) -> int:
    """Tensors of two or more dimensions anywhere in a value that torch loaded, each container once."""
    seen = set() if seen is None else seen
    if isinstance(value, torch.Tensor):
        return int(value.dim() > 1)
    if isinstance(value, torch.nn.Module):
        return held(value.state_dict(), seen)
    if id(value) in seen or not isinstance(value, (dict, list, tuple)):
        return 0
    seen.add(id(value))
    return sum(held(item, seen) for item in (value.values() if isinstance(value, dict) else value))


def accounted(path: str) -> tuple[list[Indexed], int]:
    """Index of every model of a file, and how many tensors of two or more dimensions it accounts for."""
    names = listed_nets(path)
    indexes = []
    matrices: set[tuple[str, str]] = set()
    for name in names or (None,):
        found = index(IndexRequest(ModelId("m", "1"), path if name is None else f"{path}#{name}"))
        indexes.append(found)
        checkpoint = open_checkpoint(path if name is None else f"{path}#{name}")
        dims = {ref.name: len(ref.shape) for ref in checkpoint.tensors}
        rows = [layer.ref.name for layer, _ in found.layers] + [skip.tensor for skip in found.skips]
        matrices |= {(str(name), row) for row in rows if row is not None and dims.get(row, 0) > 1}
    # What is in none of the models has a row for its container, which says how many tensors it has.
    first = open_checkpoint(path if names is None else f"{path}#{names[0]}")
    rest = {skip.tensor for skip in indexes[0].skips}
    for container in containers(first):
        if not container.opened and container.name not in (names or ()):
            assert container.name in rest, f"{container.name} has no row"
    return indexes, len(matrices)


def pooled_once(found: Indexed) -> None:
    """No two layers of a model that means count have equal or transposed values, unless they share their storage."""
    values: Counter[bytes] = Counter()
    counted = [
        layer
        for layer, _ in found.layers
        if layer.layer_type != "embedding" and not layer.layer_type.endswith("_part") and layer.assembly is None
    ]
    storages = {(layer.ref.path, layer.ref.member, layer.ref.offset, layer.view): layer for layer in counted}
    for layer in storages.values():
        array = np.ascontiguousarray(read_layer(layer))
        if array.min() == array.max():
            continue
        forms = {str(array.shape).encode() + array.tobytes()}
        if array.ndim == 2:
            forms.add(str(array.T.shape).encode() + np.ascontiguousarray(array.T).tobytes())
        for form in forms:
            values[form] += 1
    assert max(values.values(), default=1) == 1


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_matrix_of_a_training_checkpoint_is_accounted_for(tmp_path: Path, name: str) -> None:
    made = CHECKPOINTS[name][0]()
    torch.save(made, tmp_path / "x.pt")
    indexes, matrices = accounted(str(tmp_path / "x.pt"))
    first = open_checkpoint(str(tmp_path / "x.pt"))
    assert first.contents is not None
    listed = {net.name for net in first.contents.nets if net.listed}
    in_rest = sum(
        row.matrices for row in containers(first) if row.name not in (listed if len(listed) > 1 else {first.net})
    )
    assert matrices + in_rest == held(made)
    for found in indexes:
        pooled_once(found)
        assert not any(skip.failed for skip in found.skips)


def real_files(shared: Path) -> list[Path]:
    kinds = (".th", ".pth", ".tar", ".safetensors", ".hdf5", ".onnx")
    return sorted(path for path in (shared / "zoo").rglob("*") if path.suffix in kinds)


def count(path: Path) -> int:
    """Tensors of two or more dimensions of the model that a real file holds."""
    if path.suffix == ".safetensors":
        with safe_open(path, "np") as file:
            return sum(len(file.get_slice(name).get_shape()) > 1 for name in file.keys())  # noqa: SIM118 - no mapping
    if path.suffix == ".hdf5":
        sizes: list[int] = []
        with h5py.File(path) as file:  # an optimizer's moments lie beside the model
            file["model_weights" if "model_weights" in file else "/"].visititems(
                lambda _, item: sizes.append(item.ndim) if isinstance(item, h5py.Dataset) else None
            )
        return sum(size > 1 for size in sizes)
    if path.suffix == ".onnx":
        return sum(len(tensor.dims) > 1 for tensor in onnx.load(path).graph.initializer)
    refused = next((known for name, known in REFUSED_BY_TORCH.items() if str(path).endswith(name)), None)
    allowed: list[Any] = [(Anything, refused)] if refused else []
    with torch.serialization.safe_globals(allowed):
        loaded = torch.load(path, weights_only=True, map_location="cpu")
    return held(loaded.get("state_dict", loaded))


def test_every_matrix_of_the_real_zoo_is_accounted_for(shared: Path) -> None:
    counted = 0
    for path in real_files(shared):
        indexes, matrices = accounted(str(path))
        for found in indexes:
            pooled_once(found)
        if path.suffix == ".onnx":  # constants of the graph are no tensors of the model, and have rows all the same
            constants = {node.output[0] for node in onnx.load(path).graph.node if node.op_type == "Constant"}
            tables = {skip.tensor for skip in indexes[0].skips if "a constant of the graph" in skip.detail}
            assert tables <= constants
        try:
            wanted = count(path)
        except Exception:  # noqa: BLE001 - a pickled module: torch does not load it unasked
            assert zipfile.is_zipfile(path)
            continue
        assert matrices == wanted, path.name
        counted += 1
    assert counted >= 19
