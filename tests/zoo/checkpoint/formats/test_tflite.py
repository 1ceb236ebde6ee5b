"""TensorFlow Lite against what TensorFlow's interpreter says of the same files (see tflite/make.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import read_layer

HERE = Path(__file__).parent / "tflite"
AXES = {"convolution": (0, 3, 1, 2), "depthwise": (3, 0, 1, 2), "conv_transpose": (3, 0, 1, 2), "MatMul": (0, 1)}
"""Last part of a tensor's name -> its axes in torch's order."""


@pytest.mark.parametrize("name", ["float32", "float16", "int8"])
def test_weights_are_those_of_the_interpreter(name: str) -> None:
    with np.load(HERE / "weights.npz") as file:
        wanted = {key.partition("|")[2]: file[key] for key in file.files if key.startswith(f"{name}|")}
    checkpoint = open_checkpoint(str(HERE / f"{name}.tflite"))
    chosen, skips = layers(checkpoint.tensors, checkpoint.config)
    assert {layer.longname for layer in chosen} == set(wanted)
    for layer in chosen:
        values = wanted[layer.longname].transpose(AXES[layer.longname.rpartition(".")[2]])
        np.testing.assert_allclose(read_layer(layer).astype(np.float64), values, rtol=1e-6)
    assert not any(skip.failed for skip in [*checkpoint.skips, *skips])


@pytest.mark.parametrize("cut", [8, 40, 200, 1500, 3000])
def test_a_file_that_is_cut_short_is_refused_or_loses_weights(tmp_path: Path, cut: int) -> None:
    whole = (HERE / "float32.tflite").read_bytes()
    (tmp_path / "x.tflite").write_bytes(whole[:cut])
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(tmp_path / "x.tflite"))
    assert caught.value.reason in ("unreadable", "no_tensors")
