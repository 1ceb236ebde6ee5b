"""Containers with damaged bytes: an error or fewer tensors, never another exception, more memory, or a call."""

from __future__ import annotations

import contextlib
import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.zoo.checkpoint.formats import test_tensorflow_files as tf
from tests.zoo.checkpoint.formats import test_torch_containers as pt
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.trouble import CheckpointError

LITE = Path(__file__).parent / "tflite" / "int8.tflite"
LIMIT = 64 << 20
"""Bytes of Python's and numpy's memory that files of a few kilobytes may take."""


def graph(folder: Path) -> Path:
    path = folder / "x.pb"
    path.write_bytes(tf.const("k", tf.HWIO) + tf.const("d", tf.IO) + tf.node("c", "Conv2D", "x", "k"))
    return path


def caffe(folder: Path) -> Path:
    path = folder / "x.caffemodel"
    blobs = tf.field(7, tf.blob(tf.CONV)) + tf.field(7, tf.blob(tf.DENSE))
    path.write_bytes(tf.field(100, tf.field(1, "conv1") + tf.field(2, "Convolution") + blobs))
    return path


def lite(folder: Path) -> Path:
    return Path(shutil.copy(LITE, folder / "x.tflite"))


def index(folder: Path) -> Path:
    return tf.checkpoint(folder / "x", {"a/kernel": tf.IO, "b/kernel": tf.HWIO}, {"a/kernel": "a"})


def web(folder: Path) -> Path:
    return tf.tfjs(folder / "web", [tf.entry("a/kernel", tf.IO)], 400) / "model.json"


def distributed(folder: Path) -> Path:
    pt.sharded(folder / "x", torch.randn(8, 6), (2, 1))
    return folder / "x" / ".metadata"


def program(folder: Path) -> Path:
    return pt.pt2(folder / "x.pt2", {"a.weight": pt.described((9, 12), (12, 1))}, {"weight_0": bytes(432)})


MADE: dict[str, Callable[[Path], Path]] = {
    one.__name__: one for one in (graph, caffe, lite, index, web, distributed, program)
}
FOLDERS = ("web", "distributed")


def attempts(whole: bytes, count: int) -> list[bytes]:
    """Damaged copies: bytes changed, a range lost, a number made huge."""
    rng, damaged = random.Random(0), []
    for _ in range(count):
        data = bytearray(whole)
        at = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                for place in (at, rng.randrange(len(data))):
                    data[place] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randrange(1, 40)]
            case 2:
                data[at : at + 8] = b"\xff" * 8
        damaged.append(bytes(data))
    return damaged


@pytest.mark.parametrize("kind", MADE)
def test_damage_is_an_error_or_fewer_tensors(tmp_path: Path, kind: str) -> None:
    path = MADE[kind](tmp_path)
    opened = path.parent if kind in FOLDERS else path
    open_checkpoint(str(opened))
    tracemalloc.start()
    for data in attempts(path.read_bytes(), 150):
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):
            for ref in open_checkpoint(str(opened)).tensors:
                np.asarray(read(ref))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT
