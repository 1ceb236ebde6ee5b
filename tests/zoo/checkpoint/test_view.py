"""Views: their shapes without the array, the part they cut, what reading and hashing a layer through one gives."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import content_hash
from zoospectra.zoo.checkpoint.view import Order, Reshape, Take, View, apply, shape_after
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

HEADS: View = (Reshape((2, 3, 4, 6)), Take(1, 1, 2), Reshape((8, 6)))


@pytest.mark.parametrize(
    ("view", "shape"),
    [
        ((), (24, 6)),
        ((Take(0, 8, 16),), (8, 6)),
        ((Take(0, 1, 24, 2),), (12, 6)),
        ((Take(1, 0, 5, 2),), (24, 3)),
        ((Order((1, 0)),), (6, 24)),
        (HEADS, (8, 6)),
    ],
)
def test_the_shape_is_known_without_the_array(view: View, shape: tuple[int, ...]) -> None:
    array = np.arange(144).reshape(24, 6)
    assert shape_after((24, 6), view) == apply(array, view).shape == shape
    assert pickle.loads(pickle.dumps(view)) == view


@pytest.mark.parametrize(
    "view", [(Take(0, 0, 25),), (Take(2, 0, 1),), (Take(0, 3, 3),), (Reshape((5, 5)),), (Order((0, 0)),)]
)
def test_a_view_that_does_not_fit_is_refused(view: View) -> None:
    with pytest.raises(ValueError, match=r"cannot|no order"):
        shape_after((24, 6), view)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_a_part_has_the_hash_it_would_have_alone(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = torch.randn(24, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    parts = {"a": whole[8:16], "b": whole.float().reshape(2, 3, 4, 6)[:, 1].reshape(8, 6).to(dtype)}
    save_file({"whole": whole, **{name: part.clone() for name, part in parts.items()}}, tmp_path / "x.safetensors")
    refs = {ref.name: ref for ref in open_checkpoint(str(tmp_path / "x.safetensors")).tensors}
    for name, view in (("a", (Take(0, 8, 16),)), ("b", HEADS)):
        layer = Layer(0, name, "dense", None, refs["whole"], view)
        assert layer_hash(layer) == content_hash(refs[name])
        np.testing.assert_array_equal(read_layer(layer), parts[name].float().numpy())
        assert layer.shape == (8, 6)


def test_a_layer_without_a_view_is_its_tensor(tmp_path: Path) -> None:
    save_file({"w": torch.ones(3, 4)}, tmp_path / "x.safetensors")
    (ref,) = open_checkpoint(str(tmp_path / "x.safetensors")).tensors
    layer = Layer(0, "w", "dense", None, ref)
    assert layer_hash(layer) == content_hash(ref)
    assert (layer.shape, layer.dtype) == ((3, 4), "float32")
    assert pickle.loads(pickle.dumps(layer)) == layer
