"""Keras' own codes and low-rank updates, as its .h5 files have them; the oracle is what the layer computes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.zoo.layers.opened import opened_path
from zoospectra.zoo.layers.values import read_layer

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.mark.parametrize("bias", [True, False])
def test_codes_are_divided_by_their_scale(tmp_path: Path, bias: bool) -> None:
    keras = pytest.importorskip("keras")
    dense = keras.layers.Dense(16, use_bias=bias)
    inputs = keras.Input((24,))
    model = keras.Model(inputs, dense(inputs))
    kernel = np.array(dense.kernel)
    dense.quantize("int8")
    model.save(tmp_path / "x.h5")
    found, skips = opened_path(tmp_path / "x.h5")
    (layer,) = found.values()
    values = read_layer(layer).T
    np.testing.assert_allclose(values, kernel, atol=np.abs(kernel).max() / 200)
    codes, scale = (np.array(v) for v in model.weights if v.name in ("kernel", "kernel_scale"))
    np.testing.assert_allclose(values, codes / scale, rtol=1e-6)
    model.save(tmp_path / "x.keras")  # without names of variables: refused, with its scale
    found, skips = opened_path(tmp_path / "x.keras")
    assert not found
    assert sum(skip.failed for skip in skips.values()) == 1


def test_a_low_rank_update_is_one_layer_beside_its_kernel(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    dense = keras.layers.Dense(16)
    inputs = keras.Input((24,))
    model = keras.Model(inputs, dense(inputs))
    dense.enable_lora(4)
    dense.lora_kernel_b.assign(np.random.default_rng(0).standard_normal((4, 16)))
    frozen, a, b = (np.array(value) for value in (dense._kernel, dense.lora_kernel_a, dense.lora_kernel_b))
    model.save(tmp_path / "x.h5")
    found, _ = opened_path(tmp_path / "x.h5")
    assert {layer.layer_type for layer in found.values()} == {"dense", "lora"}
    for layer in found.values():
        wanted = frozen if layer.layer_type == "dense" else a @ b  # alpha is r where nothing else was said
        np.testing.assert_allclose(read_layer(layer), wanted.T, rtol=1e-5, atol=1e-6)
