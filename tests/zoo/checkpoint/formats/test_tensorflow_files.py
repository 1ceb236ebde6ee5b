"""TensorFlow's files, Caffe's and TensorFlow.js', written here byte by byte as those libraries write them.

Layouts and numbers were compared once with files that tensorflow 2.21 wrote: checkpoints of both versions, a SavedModel
and a frozen graph. What is here is that, small.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer
from zoospectra.zoo.sources.local import crawl

RNG = np.random.default_rng(0)
CONV = RNG.standard_normal((16, 8, 3, 3)).astype(np.float32)
DENSE = RNG.standard_normal((12, 20)).astype(np.float32)
DEPTH = RNG.standard_normal((3, 3, 8, 1)).astype(np.float32)
TABLE = RNG.standard_normal((30, 6)).astype(np.float32)
HWIO, IO = np.ascontiguousarray(CONV.transpose(2, 3, 1, 0)), np.ascontiguousarray(DENSE.T)


def found(path: Path) -> dict[str, Layer]:
    checkpoint = open_checkpoint(str(path))
    chosen, _ = layers(checkpoint.tensors, checkpoint.config)
    return {layer.longname: layer for layer in chosen}


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value: Any) -> bytes:
    """A field of a protocol buffer: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | 2) + varint(len(data)) + data


def shape_proto(shape: tuple[int, ...]) -> bytes:
    return b"".join(field(2, field(1, size)) for size in shape)


def block(items: list[tuple[bytes, bytes]]) -> bytes:
    """A block of LevelDB's, keys shared with the one before as its writer does."""
    out, before = b"", b""
    for number, (key, value) in enumerate(items):
        shared = 0
        if number % 16:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1)


def table(items: list[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    data = block(items)
    out = data + bytes([compression]) + b"\0\0\0\0"
    meta, meta_at = block([]), len(out)
    out += meta + b"\0" * 5
    index, index_at = block([(b"\xff", varint(0) + varint(len(data)))]), len(out)
    out += index + b"\0" * 5
    footer = varint(meta_at) + varint(len(meta)) + varint(index_at) + varint(len(index))
    return out + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def checkpoint(path: Path, tensors: dict[str, Any], own: dict[str, str] | None = None, **changed: Any) -> Path:
    """X.index and X.data-00000-of-00001; own: names of the object graph by key."""
    data, items = b"", [(b"", field(1, 1))]
    for key in sorted(tensors):
        value = tensors[key]
        entry = field(1, {"<f4": 1, "<i8": 9}[value.dtype.str]) + field(2, shape_proto(value.shape))
        entry += field(4, len(data)) + field(5, value.nbytes)
        data += value.tobytes()
        items.append((key.encode(), entry))
    if own is not None:
        nodes = b"".join(
            field(1, field(2, field(1, "VARIABLE_VALUE") + field(2, name) + field(3, key))) for key, name in own.items()
        )
        text = varint(len(nodes)) + b"\0\0\0\0" + nodes
        entry = field(1, 7) + field(2, b"") + field(4, len(data)) + field(5, len(text))
        items.insert(1, (b"_CHECKPOINTABLE_OBJECT_GRAPH", entry))
        data += text
    path.with_name(f"{path.name}.index").write_bytes(table(items, **changed))
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(data)
    return path.with_name(f"{path.name}.index")


def test_a_checkpoint_of_tensorflow_1(tmp_path: Path) -> None:
    tensors = {
        "net/conv/weights": HWIO,
        "net/dense/kernel": IO,
        "net/dense/kernel/Adam": IO,
        "net/dense/kernel/Adam_1": IO,
        "net/dense/kernel/ExponentialMovingAverage": IO,
        "net/depth/depthwise_weights": DEPTH,
        "net/dense/bias": DENSE[0],
        "word_embeddings": TABLE,
        "global_step": np.array(7),
    }
    checkpoint(tmp_path / "model.ckpt-7", tensors)
    (model,) = crawl(str(tmp_path))
    assert model.name == "model.ckpt-7.index", "the data file is a part of it"
    by_name = found(Path(model.path))
    np.testing.assert_array_equal(read_layer(by_name["net.conv.weights"]), CONV)
    np.testing.assert_array_equal(read_layer(by_name["net.dense"]), DENSE)
    depth = read_layer(by_name["net.depth.depthwise_weights"])
    np.testing.assert_array_equal(depth, DEPTH.transpose(2, 3, 0, 1))
    assert by_name["word_embeddings"].layer_type == "embedding"
    assert len(by_name) == 4
    reasons = {skip.tensor: skip.reason for skip in open_checkpoint(model.path).skips}
    assert reasons["net.dense.kernel.Adam"] == "optimizer_state"
    assert reasons["net.dense.kernel.ExponentialMovingAverage"] == reasons["global_step"] == "not_the_model"


def test_a_saved_model_has_the_names_of_its_variables_and_no_copy(tmp_path: Path) -> None:
    end = "/.ATTRIBUTES/VARIABLE_VALUE"
    keys = {
        f"_all_variables/0{end}": HWIO,
        f"variables/0{end}": HWIO,
        f"variables/1{end}": IO,
        f"variables/2{end}": IO * 2,
        f"optimizer/m/0{end}": IO,
    }
    names = ("s/conv/kernel", "s/conv/kernel", "s/dense/kernel", "s/dense/kernel", "m")
    folder = tmp_path / "exported" / "variables"
    folder.mkdir(parents=True)
    checkpoint(folder / "variables", keys, dict(zip(keys, names, strict=True)))
    (tmp_path / "exported" / "saved_model.pb").write_bytes(field(1, 1))
    (model,) = crawl(str(tmp_path))
    by_name = found(Path(model.path))
    assert (model.name, set(by_name)) == ("exported", {"s.conv", "s.dense", "variables.2"})
    np.testing.assert_array_equal(read_layer(by_name["s.conv"]), CONV)
    np.testing.assert_array_equal(read_layer(by_name["variables.2"]), 2 * IO)


def partitioned(path: Path, key: str, parts: list[Any], axis: int, shape: tuple[int, ...]) -> Path:
    """A checkpoint of one variable in slices, with the keys of saved_tensor_slice_util.cc, written by hand."""
    data, items, start, extents = b"", [(b"", field(1, 1))], 0, b""
    for part in parts:
        place = b"".join(
            bytes([0x80 ^ start, 0x80 ^ part.shape[a]]) if a == axis else b"\x80\x7f" for a in range(len(shape))
        )
        entry = field(1, 1) + field(2, shape_proto(part.shape)) + field(4, len(data)) + field(5, part.nbytes)
        items.append((b"\0" + key.encode() + b"\0\1" + bytes([1, len(shape)]) + place, entry))
        data, start = data + part.tobytes(), start + part.shape[axis]
        extents += field(7, b"")
    items.append((key.encode(), field(1, 1) + field(2, shape_proto(shape)) + extents))
    path.with_name(f"{path.name}.index").write_bytes(table(items))
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(data)
    return path.with_name(f"{path.name}.index")


@pytest.mark.parametrize("axis", [0, 1])
def test_a_partitioned_variable_is_one_layer(tmp_path: Path, axis: int) -> None:
    parts = [np.ascontiguousarray(part) for part in np.array_split(IO, 3, axis=axis)]
    index = partitioned(tmp_path / "m", "net/dense/kernel", parts, axis, IO.shape)
    (layer,) = found(index).values()
    assert layer.longname == "net.dense"
    np.testing.assert_array_equal(read_layer(layer), DENSE)
    partitioned(tmp_path / "m", "net/dense/kernel", parts[:2], axis, IO.shape)  # a slice is missing: lost by name
    with pytest.raises(CheckpointError, match="2 of its 2 slices make no"):
        open_checkpoint(str(index))


@pytest.mark.parametrize("cut", [0, 7, 47, 60, 100])
def test_damaged_indices_are_refused(tmp_path: Path, cut: int) -> None:
    path = checkpoint(tmp_path / "x", {"conv/kernel": HWIO, "dense/kernel": IO})
    whole = path.read_bytes()
    path.write_bytes(whole[cut + 8 :])  # its end, which says what it is, stays
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(path))
    assert caught.value.reason in ("unreadable", "no_tensors", "unsupported_format")


def test_indices_that_lie_name_no_bytes(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "x", {"conv/kernel": HWIO})
    (tmp_path / "x.data-00000-of-00001").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="ends before byte"):
        open_checkpoint(str(path))
    with pytest.raises(CheckpointError, match="compression 1"):
        open_checkpoint(str(checkpoint(tmp_path / "y", {"conv/kernel": HWIO}, compression=1)))
    huge = table([(b"", field(1, 1)), (b"w", field(1, 1) + field(2, shape_proto((1 << 40, 1 << 40))) + field(5, 8))])
    (tmp_path / "z.index").write_bytes(huge)
    with pytest.raises(CheckpointError, match="needs"):
        open_checkpoint(str(tmp_path / "z.index"))


def const(name: str, value: Any) -> bytes:
    tensor = field(1, 1) + field(2, shape_proto(value.shape)) + field(4, value.tobytes())
    return field(1, field(1, name) + field(2, "Const") + field(5, field(1, "value") + field(2, field(8, tensor))))


def node(name: str, operator: str, *inputs: str, **flags: bool) -> bytes:
    entries = b"".join(field(5, field(1, key) + field(2, field(5, int(flag)))) for key, flag in flags.items())
    return field(1, field(1, name) + field(2, operator) + b"".join(field(3, source) for source in inputs) + entries)


def test_a_frozen_graph_has_what_its_operators_multiply_with(tmp_path: Path) -> None:
    graph = const("conv/kernel", HWIO) + const("dense/kernel", IO) + const("turned", DENSE) + const("depth", DEPTH)
    graph += const("anchors", TABLE) + const("words", TABLE)
    graph += node("conv/read", "Identity", "conv/kernel") + node("c", "Conv2D", "x", "conv/read")
    graph += node("d", "MatMul", "c", "dense/kernel:0") + node("t", "MatMul", "d", "turned", transpose_b=True)
    graph += node("w", "DepthwiseConv2dNative", "t", "depth") + node("a", "Mul", "w", "anchors")
    graph += node("g", "GatherV2", "words", "ids", "axis") + node("loop", "Identity", "loop")
    (tmp_path / "frozen.pb").write_bytes(graph)
    by_name = found(tmp_path / "frozen.pb")
    np.testing.assert_array_equal(read_layer(by_name["conv"]), CONV)
    np.testing.assert_array_equal(read_layer(by_name["dense"]), DENSE)
    np.testing.assert_array_equal(read_layer(by_name["turned"]), DENSE)
    assert by_name["depth"].shape == (8, 1, 3, 3)
    assert by_name["words"].layer_type == "embedding"
    assert "anchors" not in by_name
    assert [skip.tensor for skip in open_checkpoint(str(tmp_path / "frozen.pb")).skips] == ["anchors"]


def test_a_graph_without_weights_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(node("c", "Placeholder"))
    (tmp_path / "y.pb").write_bytes(RNG.bytes(500))
    for name in "xy":
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(str(tmp_path / f"{name}.pb"))
        assert caught.value.reason in ("no_tensors", "unsupported_format", "unreadable")


def blob(value: Any, *, old: bool = False) -> bytes:
    shape = (1,) * (4 - value.ndim) + value.shape if old else value.shape
    dims = b"".join(field(number + 1, size) for number, size in enumerate(shape))
    head = dims if old else field(7, field(1, b"".join(map(varint, shape))))
    return head + field(5, value.astype("<f4").tobytes())


def test_caffes_blobs_of_both_generations(tmp_path: Path) -> None:
    def layer(name: str, kind: str, *values: Any) -> bytes:
        blobs = b"".join(field(7, blob(value)) for value in values)
        return field(100, field(1, name) + field(2, kind) + blobs)

    new = layer("conv1", "Convolution", CONV, CONV[:, 0, 0, 0]) + layer("fc/a", "InnerProduct", DENSE)
    new += layer("bn", "BatchNorm", DENSE[0], DENSE[0], DENSE[0, :1]) + layer("words", "Embed", TABLE)
    (tmp_path / "new.caffemodel").write_bytes(field(1, "net") + new)
    old = field(2, field(4, "conv1") + field(5, 4) + field(6, blob(CONV, old=True)))
    old += field(2, field(4, "fc") + field(5, 14) + field(6, blob(DENSE, old=True)))
    (tmp_path / "old.caffemodel").write_bytes(old)
    assert [model.name for model in crawl(str(tmp_path))] == ["new.caffemodel", "old.caffemodel"]
    for name, dense in (("new", "fc.a"), ("old", "fc")):
        by_name = found(tmp_path / f"{name}.caffemodel")
        np.testing.assert_array_equal(read_layer(by_name["conv1"]), CONV)
        np.testing.assert_array_equal(read_layer(by_name[dense]), DENSE)
    assert found(tmp_path / "new.caffemodel")["words"].layer_type == "embedding"
    assert set(found(tmp_path / "new.caffemodel")) == {"conv1", "fc.a", "words"}


def test_a_blob_that_claims_more_than_it_holds_is_a_row(tmp_path: Path) -> None:
    lying = field(7, field(1, varint(1 << 40) + varint(1 << 20))) + field(5, bytes(8))
    net = field(100, field(1, "a") + field(2, "InnerProduct") + field(7, lying))
    net += field(100, field(1, "b") + field(2, "InnerProduct") + field(7, blob(DENSE)))
    (tmp_path / "x.caffemodel").write_bytes(net)
    checkpoint_of = open_checkpoint(str(tmp_path / "x.caffemodel"))
    assert [ref.name for ref in checkpoint_of.tensors] == ["b.weight"]
    assert [(skip.tensor, skip.reason, skip.failed) for skip in checkpoint_of.skips] == [
        ("a.weight", "unreadable", True)
    ]


def tfjs(folder: Path, weights: list[tuple[dict[str, Any], bytes]], size: int, names: list[str] | None = None) -> Path:
    """model.json and shards of `size` bytes."""
    folder.mkdir()
    data = b"".join(values for _, values in weights)
    shards = [data[at : at + size] for at in range(0, len(data), size)]
    paths = names or [f"group1-shard{number + 1}of{len(shards)}.bin" for number in range(len(shards))]
    for path, shard in zip(paths, shards, strict=False):
        if path.isprintable() and "/" not in path:
            (folder / path).write_bytes(shard)
    manifest = [{"paths": paths, "weights": [entry for entry, _ in weights]}]
    (folder / "model.json").write_text(json.dumps({"format": "layers-model", "weightsManifest": manifest}))
    return folder


def entry(name: str, value: Any, **more: Any) -> tuple[dict[str, Any], bytes]:
    return {"name": name, "shape": list(value.shape), "dtype": "float32"} | more, value.tobytes()


@pytest.mark.parametrize("size", [10**6, 1024, 400])
def test_tensors_of_tfjs_cross_the_borders_of_shards(tmp_path: Path, size: int) -> None:
    codes = RNG.integers(0, 256, (20, 12)).astype(np.uint8)
    packed = {"quantization": {"dtype": "uint8", "scale": 0.01, "min": -1.25}}
    weights = [
        entry("conv2d/kernel", HWIO),
        entry("conv2d/bias", CONV[:, 0, 0, 0].copy()),
        entry("dense/kernel", codes, **packed),
        entry("half/kernel", IO.astype(np.float16), quantization={"dtype": "float16", "original_dtype": "float32"}),
    ]
    tfjs(tmp_path / "web", weights, size)
    (model,) = crawl(str(tmp_path))
    by_name = found(Path(model.path))
    np.testing.assert_array_equal(read_layer(by_name["conv2d"]), CONV)
    np.testing.assert_allclose(read_layer(by_name["dense"]), (codes * 0.01 - 1.25).T.astype(np.float32), rtol=1e-7)
    np.testing.assert_array_equal(read_layer(by_name["half"]), IO.astype(np.float16).T)


@pytest.mark.parametrize("name", ["../x.bin", "/etc/passwd", "a/b.bin", ".x.bin", "a\0b"])
def test_shards_of_tfjs_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="plain name") as caught:
        open_checkpoint(str(tfjs(tmp_path / "web", [entry("dense/kernel", IO)], 10**6, [name])))
    assert caught.value.reason == "unsafe"


def test_shards_of_tfjs_that_are_missing_or_short_are_rows(tmp_path: Path) -> None:
    folder = tfjs(tmp_path / "web", [entry("a/kernel", IO), entry("b/kernel", IO)], IO.nbytes)
    (folder / "group1-shard2of2.bin").write_bytes(b"short")
    checkpoint_of = open_checkpoint(str(folder))
    assert [ref.name for ref in checkpoint_of.tensors] == ["a.kernel"]
    assert [(skip.reason, skip.failed) for skip in checkpoint_of.skips] == [("unreadable", True)]
    lying = entry("a/kernel", IO)[0] | {"shape": [-1, 4]}
    with pytest.raises(CheckpointError, match="describes a tensor"):
        open_checkpoint(str(tfjs(tmp_path / "lies", [(lying, b"1234")], 100)))
