"""Small models in the shapes of well-known ones, as real safetensors bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray

BF16 = np.dtype("<u2")
"""bfloat16 travels as its upper sixteen bits."""


def bfloat16(array: AnyArray) -> AnyArray:
    """Truncate float32 to bfloat16, as its carrier."""
    return (np.ascontiguousarray(array, dtype="<f4").view("<u4") >> 16).astype(BF16)


def safetensors(tensors: Mapping[str, AnyArray], pad: int = 0) -> bytes:
    """A safetensors file by the letter of its specification; `pad` spaces make its header longer."""
    names = {"float32": "F32", "float16": "F16", "uint16": "BF16"}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": names[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + pad)
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values())


def gpt2(width: int = 64, vocab: int = 500) -> dict[str, AnyArray]:
    """GPT-2: one file, float32, Conv1D weights (in, out), fused q, k, v."""
    rng = np.random.default_rng(1)
    made = {"wte.weight": (vocab, width), "wpe.weight": (32, width)}
    for block in range(2):
        made |= {
            f"h.{block}.ln_1.weight": (width,),
            f"h.{block}.ln_1.bias": (width,),
            f"h.{block}.attn.c_attn.weight": (width, 3 * width),
            f"h.{block}.attn.c_attn.bias": (3 * width,),
            f"h.{block}.attn.c_proj.weight": (width, width),
            f"h.{block}.attn.c_proj.bias": (width,),
            f"h.{block}.mlp.c_fc.weight": (width, 4 * width),
            f"h.{block}.mlp.c_proj.weight": (4 * width, width),
        }
    return {name: rng.standard_normal(shape).astype("<f4") for name, shape in made.items()}


def llama(width: int = 64, heads: int = 8, groups: int = 2, layers: int = 2) -> dict[str, AnyArray]:
    """LLaMA: bfloat16, grouped queries (k and v are heads/groups times smaller), gated MLP."""
    rng = np.random.default_rng(2)
    small = width // heads * groups
    made = {"model.embed_tokens.weight": (300, width)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        made |= {
            f"{at}.self_attn.q_proj.weight": (width, width),
            f"{at}.self_attn.k_proj.weight": (small, width),
            f"{at}.self_attn.v_proj.weight": (small, width),
            f"{at}.self_attn.o_proj.weight": (width, width),
            f"{at}.mlp.gate_proj.weight": (3 * width, width),
            f"{at}.mlp.up_proj.weight": (3 * width, width),
            f"{at}.mlp.down_proj.weight": (width, 3 * width),
            f"{at}.input_layernorm.weight": (width,),
        }
    made["lm_head.weight"] = (300, width)
    return {name: bfloat16(rng.standard_normal(shape)) for name, shape in made.items()}


def mixtral(width: int = 48, experts: int = 4) -> dict[str, AnyArray]:
    """Mixtral: experts as separate matrices w1, w2, w3, and a router."""
    rng = np.random.default_rng(3)
    at = "model.layers.0"
    made = {
        "model.embed_tokens.weight": (200, width),
        f"{at}.self_attn.q_proj.weight": (width, width),
        f"{at}.self_attn.k_proj.weight": (width // 4, width),
        f"{at}.block_sparse_moe.gate.weight": (experts, width),
        f"{at}.input_layernorm.weight": (width,),
    }
    for expert in range(experts):
        for name, shape in (("w1", (2 * width, width)), ("w2", (width, 2 * width)), ("w3", (2 * width, width))):
            made[f"{at}.block_sparse_moe.experts.{expert}.{name}.weight"] = shape
    return {name: bfloat16(rng.standard_normal(shape)) for name, shape in made.items()}


def sharded(tensors: Mapping[str, AnyArray], count: int) -> dict[str, bytes]:
    """Shards and their index, the tensors dealt out in order."""
    names = list(tensors)
    files: dict[str, bytes] = {}
    mapped: dict[str, str] = {}
    for number in range(count):
        part = names[number * len(names) // count : (number + 1) * len(names) // count]
        file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        files[file] = safetensors({name: tensors[name] for name in part})
        mapped |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(a.nbytes for a in tensors.values())}, "weight_map": mapped}
    return {"model.safetensors.index.json": json.dumps(index).encode(), **files}
