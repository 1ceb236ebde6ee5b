"""Relatives made by plain numpy from trained nets, and nets as the records that kinship is told from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache

import ml_dtypes
import numpy as np

from zoospectra.analysis.kinship.records import SMALLEST, Size, SketchedLayer, SketchedModel
from zoospectra.analysis.reductions import reductions
from zoospectra.analysis.sketch import sketch

Net = dict[str, np.ndarray]
"""Weights by module, of two axes or more."""

SPECTRA: dict[str, np.ndarray] = {}
VALUES: dict[str, np.ndarray] = {}


def spectrum(content: str) -> np.ndarray:
    """Eigenvalues of what was sketched, by torch's slices: one matrix a position of the kernel."""
    if content not in SPECTRA:
        W = VALUES[content].astype(np.float64)
        slices = W.reshape(*W.shape[:2], -1).transpose(2, 0, 1)
        SPECTRA[content] = np.sort(np.linalg.svd(slices, compute_uv=False) ** 2, axis=None)
    return SPECTRA[content]


def record(name: str, net: Net) -> SketchedModel:
    layers = tuple(_layer(key, W.tobytes(), W.shape, str(W.dtype)) for key, W in net.items() if W.size >= SMALLEST)
    return SketchedModel(name, "1", layers)


@cache
def _layer(name: str, data: bytes, shape: tuple[int, ...], dtype: str) -> SketchedLayer:
    W = np.frombuffer(data, dtype).reshape(shape)
    content = hashlib.sha256(data + str(shape).encode()).hexdigest()
    VALUES[content] = W
    kept, plain = sketch(W), reductions(W)
    role = re.sub(r"\d+", "#", name)
    whole, columns, rows = (part.astype(np.float64) for part in (kept.whole, kept.columns, kept.rows))
    top = max(abs(plain.min or 0.0), abs(plain.max or 0.0))
    numbers = (plain.mean or 0.0, plain.std or 0.0, plain.repeats, top, plain.zeros)
    size = Size(W.size, max(shape[:2]), min(shape[:2]))
    return SketchedLayer(name, role, size, dtype, content, whole, columns, rows, *numbers)


def each(net: Net, change: Callable[[np.ndarray], np.ndarray]) -> Net:
    return {name: np.ascontiguousarray(change(W).astype(np.float32)) for name, W in net.items()}


def tuned(net: Net, rng: np.random.Generator) -> Net:
    """Every layer moved by 1 % to 100 % of its size."""
    far = float(10 ** rng.uniform(-2, 0))
    return each(net, lambda W: W + far * np.sqrt(np.mean(W**2)) * rng.normal(size=W.shape))


def lora(net: Net, rng: np.random.Generator) -> Net:
    """An update of rank 4 on half of the layers, of 5 % to 50 % of their size, merged."""

    def update(W: np.ndarray) -> np.ndarray:
        if rng.random() < 0.5:
            return W
        flat = W.reshape(len(W), -1)
        step = rng.normal(size=(len(flat), 4)) @ rng.normal(size=(4, flat.shape[1]))
        return (flat + rng.uniform(0.05, 0.5) * np.linalg.norm(flat) / np.linalg.norm(step) * step).reshape(W.shape)

    return each(net, update)


def integers(bits: int) -> Callable[[Net, np.random.Generator], Net]:
    """Symmetric, one step a row."""

    def change(W: np.ndarray) -> np.ndarray:
        step = np.abs(W).max(axis=tuple(range(1, W.ndim)), keepdims=True) / (2 ** (bits - 1) - 1)
        return np.round(W / step) * step

    return lambda net, rng: each(net, change)


def stored_as(dtype: type) -> Callable[[Net, np.random.Generator], Net]:
    def change(W: np.ndarray) -> np.ndarray:
        scale = np.abs(W).max() / 240.0 if dtype is ml_dtypes.float8_e4m3fn else 1.0
        return (W / scale).astype(dtype).astype(np.float32) * scale

    return lambda net, rng: each(net, change)


def permuted(net: Net, rng: np.random.Generator) -> Net:
    """Hidden units of a chain of layers in another order: rows of each, columns of the next one."""
    names = list(net)
    turned, order = {}, None
    for number, name in enumerate(names):
        W = net[name]
        if order is not None:
            if W.shape[1] % len(order):
                return dict(net)
            W = W.reshape(len(W), len(order), -1)[:, order].reshape(W.shape)  # a flattened map keeps its positions
        if number + 1 < len(names):
            order = rng.permutation(len(W))
            W = W[order]
        turned[name] = np.ascontiguousarray(W)
    return turned


def renamed(net: Net, rng: np.random.Generator) -> Net:
    """Other names, the same numbers; half precision."""
    return {
        f"backbone.blk{re.sub(r'[^0-9.]', '', name)}.w": W.astype(np.float16).astype(np.float32)
        for name, W in net.items()
    }


def stack(net: Net, rng: np.random.Generator) -> Net:
    """An inner layer left out and another one taken twice."""
    names = list(net)
    inner = [i for i in range(1, len(names) - 1) if net[names[i]].shape == net[names[1]].shape]
    twice = int(rng.choice(inner))
    order = [*range(twice + 1), *range(twice, len(names))]
    return {f"features.{place}": net[names[source]] for place, source in enumerate(order)}


def rotary(net: Net, rng: np.random.Generator) -> Net:
    """Rows of square layers from halves to pairs within heads of 16, as llama.cpp has q and k; float16."""

    def turn(W: np.ndarray) -> np.ndarray:
        if W.ndim == 2 and W.shape[0] == W.shape[1] and len(W) % 16 == 0:
            W = W.reshape(-1, 2, 8, W.shape[1]).swapaxes(1, 2).reshape(W.shape)
        return W.astype(np.float16)

    return each(net, turn)


KINDS: dict[str, tuple[Callable[[Net, np.random.Generator], Net], tuple[str, ...]]] = {
    "fine-tuned, 1 % to 100 %": (tuned, ("fine-tuned",)),
    "LoRA merged": (lora, ("fine-tuned",)),
    "int8 by row": (integers(8), ("quantised",)),
    "int4 by row": (integers(4), ("quantised",)),
    "fp8": (stored_as(ml_dtypes.float8_e4m3fn), ("quantised",)),
    "bf16": (stored_as(ml_dtypes.bfloat16), ("quantised",)),
    "permuted hidden units": (permuted, ("permuted copy",)),
    "renamed, float16": (renamed, ("quantised",)),
    "rotary rows, float16": (rotary, ("quantised", "permuted copy")),
    "layer stack": (stack, ("merged",)),
}
"""Kind -> how a relative is made, and the verdicts that say so."""
