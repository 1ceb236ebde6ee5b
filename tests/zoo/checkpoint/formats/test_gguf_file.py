"""GGUF against the gguf package: block types, shapes, experts, and headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.gguf_file import TYPES
from zoospectra.zoo.checkpoint.read import content_hash, read
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.checkpoint.view import Order
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

RNG = np.random.default_rng(0)
QUANTISED = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")


def write(path: Path, tensors: dict[str, tuple[Any, str]]) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "ccc"])
    writer.add_array("numbers", [1, 2, 3])
    for name, (values, kind) in tensors.items():
        number = gguf.GGMLQuantizationType[kind]
        if kind in ("F32", "F16"):
            writer.add_tensor(name, values.astype(np.float32 if kind == "F32" else np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def random(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def test_block_types_are_those_of_the_package() -> None:
    for number, name in TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        size = gguf.GGML_QUANT_SIZES[kind]
        assert size == (types.BLOCKS[name] if name in types.BLOCKS else (1, types.itemsize(name))), name
        assert name in types.CARRIERS or name == kind.name.lower()


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", *QUANTISED])
def test_values_are_those_of_the_package(tmp_path: Path, kind: str) -> None:
    path = write(
        tmp_path / "x.gguf", {"blk.0.attn_q.weight": (random(16, 64), kind), "output_norm.weight": (random(64), "F32")}
    )
    checkpoint = open_checkpoint(str(path))
    wanted = gguf.GGUFReader(path).tensors[0]
    ref = checkpoint.tensors[0]
    assert ref.shape == (16, 64)
    assert ref.dtype == {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}.get(kind, kind.lower())
    np.testing.assert_array_equal(
        read(ref).astype(np.float32), gguf.quants.dequantize(wanted.data, wanted.tensor_type).reshape(16, 64)
    )
    assert {key: checkpoint.config[key] for key in ("architecture", "head_count", "head_count_kv")} == {
        "architecture": "llama",
        "head_count": 4,
        "head_count_kv": 2,
    }


@pytest.mark.parametrize("name", sorted(types.BLOCKS))
def test_every_block_type_is_dequantised_as_the_package_does(name: str) -> None:
    elements, size = types.BLOCKS[name]
    blocks = RNG.integers(0, 256, (3, 2 * size), dtype=np.uint8)
    with np.errstate(all="ignore"):
        wanted = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name.upper()])
    found = types.decode(blocks, name)
    assert found.shape == (3, 2 * elements)
    np.testing.assert_array_equal(found, wanted)


def test_experts_and_fused_matrices_are_cut_before_they_are_dequantised(tmp_path: Path) -> None:
    tensors = {
        "token_embd.weight": (random(32, 32), "Q8_0"),
        "output.weight": (random(32, 32), "Q8_0"),
        "blk.0.attn_qkv.weight": (random(64, 32), "Q4_0"),
        "blk.0.ffn_up_exps.weight": (random(3, 16, 32), "Q5_0"),
        "blk.0.ffn_gate_inp.weight": (random(3, 32), "F32"),
    }
    checkpoint = open_checkpoint(str(write(tmp_path / "x.gguf", tensors)))
    refs = {ref.name: ref for ref in checkpoint.tensors}
    found = {layer.longname: layer for layer in layers(checkpoint.tensors, checkpoint.config)[0]}
    assert [found[name].layer_type for name in ("token_embd", "output")] == ["embedding"] * 2
    assert found["blk.0.ffn_gate_inp"].group == "router"
    np.testing.assert_array_equal(read_layer(found["blk.0.ffn_up_exps.1"]), read(refs["blk.0.ffn_up_exps.weight"])[1])
    qkv = read(refs["blk.0.attn_qkv.weight"])
    assert {part: found[f"blk.0.attn_qkv.{part}"].shape for part in "qkv"} == {
        "q": (32, 32),
        "k": (16, 32),
        "v": (16, 32),
    }
    np.testing.assert_array_equal(read_layer(found["blk.0.attn_qkv.k"]), qkv[32:48])
    assert found["blk.0.attn_qkv.k"].dtype == "q4_0"
    assert len({layer_hash(layer) for layer in found.values()}) == len(found)
    ref = refs["token_embd.weight"]
    turned = Layer(0, "t", "dense", None, ref, (Order((1, 0)),))
    np.testing.assert_array_equal(read_layer(turned), read(ref).T)
    assert layer_hash(turned) != content_hash(ref)


def header(*parts: bytes, tensors: int = 1, entries: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, entries) + b"".join(parts)


def info(name: bytes, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return struct.pack("<Q", len(name)) + name + dims + struct.pack("<IQ", kind, offset)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header(tensors=2**60), "unsafe"),
        (header(entries=2**60), "unsafe"),
        (header(struct.pack("<Q", 2**60)), "unreadable"),
        (header(struct.pack("<Q", 1), b"k", struct.pack("<IIQ", 9, 0, 2**60), entries=1), "unreadable"),
        (header(struct.pack("<Q", 1), b"k", struct.pack("<IIQ", 9, 8, 2**60), entries=1), "unreadable"),
        (header(struct.pack("<Q", 1), b"k", struct.pack("<IIQ", 9, 9, 9) * 9, entries=1), "unreadable"),
        (header(struct.pack("<Q", 1), b"k", struct.pack("<I", 99), entries=1), "unreadable"),
        (header(info(b"w", (10**6, 10**6), 0, 0)), "unreadable"),
        (header(info(b"w", (33,), 2, 0), bytes(64)), "unreadable"),
        (header(info(b"w", (4, 4), 0, 2**63), bytes(128)), "unreadable"),
        (header(info(b"w", (4,), 0, 0), info(b"w", (4,), 0, 0), bytes(128), tensors=2), "unreadable"),
        (header(info(b"w", (1,) * 9, 0, 0), bytes(128)), "unreadable"),
        (header(info(b"w", (4, 4), 31, 0), bytes(128)), "no_tensors"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "unsupported_format"),
    ],
)
def test_a_forged_header_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(tmp_path / "x.gguf"))
    assert caught.value.reason == reason
