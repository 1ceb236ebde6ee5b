"""A sharded checkpoint of any size on a small disk: a few layers are there, the others are holes of a sparse file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

HIDDEN, INNER, KEYS, VOCABULARY = 8192, 28672, 1024, 128256
"""LLaMA-3 70B."""
SHARD = 4_700_000_000
"""Bytes of a shard."""
Shapes = dict[str, tuple[int, ...]]


def llama(blocks: int = 80, scale: int = 1) -> Shapes:
    """Tensors of LLaMA-3 70B in the order of its files, with every side divided by `scale`."""
    hidden, inner, keys, vocabulary = (side // scale for side in (HIDDEN, INNER, KEYS, VOCABULARY))
    shapes: Shapes = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for n in range(blocks):
        block = f"model.layers.{n}."
        for name, rows in (("q", hidden), ("k", keys), ("v", keys), ("o", hidden)):
            shapes[f"{block}self_attn.{name}_proj.weight"] = (rows, hidden)
        shapes |= {f"{block}mlp.{name}_proj.weight": (inner, hidden) for name in ("gate", "up")}
        shapes[f"{block}mlp.down_proj.weight"] = (hidden, inner)
        shapes |= {f"{block}{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


def write(folder: Path, shapes: Shapes, true: tuple[str, ...], shard: int = SHARD) -> int:
    """A model's folder of bfloat16 shards, zeros but for Gaussian `true` tensors; returns its bytes."""
    folder.mkdir(parents=True)
    groups = list(_groups(shapes, shard))
    where, total = {}, 0
    rng = np.random.default_rng(0)
    for number, names in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        entries, end = {}, 0
        for name in names:
            begin, end = end, end + 2 * prod(shapes[name])
            entries[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [begin, end]}
            where[name] = file
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % 8)
        with (folder / file).open("wb") as out:
            out.write(len(header).to_bytes(8, "little") + header)
            out.truncate(8 + len(header) + end)
            for name in set(names) & set(true):
                values = (rng.standard_normal(shapes[name], dtype=np.float32) * np.float32(0.02)).view(np.uint32)
                out.seek(8 + len(header) + entries[name]["data_offsets"][0])
                out.write((values >> 16).astype(np.uint16).tobytes())  # bfloat16 is the upper half of a float32
        total += end
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return total


def _groups(shapes: Shapes, shard: int) -> Iterator[list[str]]:
    group: list[str] = []
    for name in shapes:
        if group and sum(2 * prod(shapes[one]) for one in (*group, name)) > shard:
            yield group
            group = []
        group.append(name)
    yield group
