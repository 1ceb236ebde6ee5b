"""Safetensors files against the library that writes them, and forged headers."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.safetensors import MAX_HEADER
from zoospectra.zoo.checkpoint.read import content_hash, read, stored
from zoospectra.zoo.checkpoint.trouble import CheckpointError

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int64,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def test_the_real_file_equals_the_library(shared: Path) -> None:
    path = str(shared / "zoo" / "formats" / "lora_disney.safetensors")
    checkpoint = open_checkpoint(path)
    with safe_open(path, "pt") as file:
        assert {ref.name for ref in checkpoint.tensors} == set(file.keys())
        for ref in checkpoint.tensors:
            tensor = file.get_tensor(ref.name)
            assert f"torch.{ref.dtype}" == str(tensor.dtype)
            np.testing.assert_array_equal(read(ref), tensor.numpy())


@settings(max_examples=60, deadline=None)
@given(
    specs=st.lists(
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=4), st.integers(0, 2**31)),
        min_size=1,
        max_size=5,
    )
)
def test_round_trip_and_equal_hashes_in_both_formats(tmp_path_factory: Any, specs: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("both")
    state = {
        f"t{i}": torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
        for i, (dtype, shape, seed) in enumerate(specs)
    }
    save_file(state, folder / "x.safetensors")
    torch.save(state, folder / "x.pt")
    ours = {ref.name: ref for ref in open_checkpoint(str(folder / "x.safetensors")).tensors}
    theirs = {ref.name: ref for ref in open_checkpoint(str(folder / "x.pt")).tensors}
    assert set(ours) == set(theirs) == set(state)
    for name, tensor in state.items():
        assert ours[name].shape == tuple(tensor.shape)
        assert stored(ours[name]).tobytes() == tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        if tensor.is_floating_point():
            np.testing.assert_array_equal(read(ours[name]), tensor.to(torch.float64).numpy())
        assert content_hash(ours[name]) == content_hash(theirs[name])


def test_order_and_metadata(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1]}
    header = {
        "b": entry | {"data_offsets": [4, 8]},
        "__metadata__": {"format": "pt"},
        "a": entry | {"data_offsets": [0, 4]},
    }
    (tmp_path / "x.safetensors").write_bytes(raw(header, struct.pack("<2f", 1, 2)))
    refs = open_checkpoint(str(tmp_path / "x.safetensors")).tensors
    assert [(ref.name, float(read(ref)[0])) for ref in refs] == [("b", 2.0), ("a", 1.0)]


def one(**changes: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


FORGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "unreadable"),
    "three bytes": (b"abc", "unreadable"),
    "no data": (raw(one()), "unreadable"),
    "cut data": (raw(one(), b"\0" * 7), "unreadable"),
    "begin behind end": (raw(one(data_offsets=[8, 0]), b"\0" * 8), "unreadable"),
    "negative": (raw(one(data_offsets=[-8, 0]), b"\0" * 8), "unreadable"),
    "three offsets": (raw(one(data_offsets=[0, 4, 8]), b"\0" * 8), "unreadable"),
    "floats": (raw(one(data_offsets=[0.0, 8.0]), b"\0" * 8), "unreadable"),
    "span too small": (raw(one(shape=[3]), b"\0" * 8), "unreadable"),
    "overflow": (raw(one(shape=[2**62, 2**62]), b"\0" * 8), "unreadable"),
    "negative shape": (raw(one(shape=[-2]), b"\0" * 8), "unreadable"),
    "bool shape": (raw(one(shape=[True, 2]), b"\0" * 8), "unreadable"),
    "no dtype": (raw({"a": {"shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8), "unreadable"),
    "entry is a list": (raw({"a": [1]}, b"\0" * 8), "unreadable"),
    "header is a list": (raw([1, 2], b"\0" * 8), "unreadable"),
    "not JSON": (raw(b"{" * 40, b"\0" * 8), "unreadable"),
    "deep JSON": (raw(b'{"a":' + b"[" * 200_000, b"\0" * 8), "unreadable"),
    "digits": (raw(b'{"a":' + b"9" * 50_000 + b"}", b"\0" * 8), "unreadable"),
    "not UTF-8": (raw(b'{"\xff":1}', b"\0" * 8), "unreadable"),
    "huge length": (raw(b"{}", b"", 2**63), "unreadable"),
    "unknown type": (raw(one(dtype="F4"), b"\0" * 8), "no_tensors"),
    "nothing": (raw({"__metadata__": {}}), "no_tensors"),
    "twins": (
        raw(
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            b"\0",
        ),
        "unreadable",
    ),
    "overlap": (
        raw(one() | {"b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, b"\0" * 12),
        "unreadable",
    ),
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_forged_headers_are_refused(tmp_path: Path, name: str) -> None:
    content, reason = FORGED[name]
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(tmp_path / "x.safetensors"))
    assert caught.value.reason == reason


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER + 1) + b"{")
        file.truncate(MAX_HEADER + 100)
    with pytest.raises(CheckpointError, match=f"at most {MAX_HEADER}") as caught:
        open_checkpoint(str(path))
    assert caught.value.reason == "unsafe"


def test_a_header_of_brackets_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(raw(b'{"a":[' + b"{}," * (1 << 20) + b"{}]}"))
    with pytest.raises(CheckpointError, match="mostly brackets") as caught:
        open_checkpoint(str(tmp_path / "x.safetensors"))
    assert caught.value.reason == "unsafe"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="no plain file"):
        open_checkpoint(str(tmp_path / "x.pth"))


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(CheckpointError("unsafe", "why")))
    assert (error.reason, error.detail, str(error)) == ("unsafe", "why", "unsafe: why")


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    state = {"w": torch.eye(3)}
    save_file(state, tmp_path / "really_safetensors.pth")
    torch.save(state, tmp_path / "really_torch.safetensors")
    torch.save(state, tmp_path / "really_legacy.h5", _use_new_zipfile_serialization=False)
    opened = {path.name: open_checkpoint(str(path)) for path in tmp_path.iterdir()}
    assert {name: checkpoint.format for name, checkpoint in opened.items()} == {
        "really_safetensors.pth": "safetensors",
        "really_torch.safetensors": "torch_zip",
        "really_legacy.h5": "torch_legacy",
    }
    assert len({content_hash(checkpoint.tensors[0]) for checkpoint in opened.values()}) == 1


@pytest.mark.parametrize(
    ("name", "content", "reason", "words"),
    [
        ("x.pth", b"version https://git-lfs.github.com/spec/v1\n", "unreadable", "suffix says torch"),
        ("x.pth", b"\x00" * 100, "unreadable", "suffix says torch"),
        ("x.pkl", pickle.dumps({"a": np.ones(3)}), "unsupported_format", "pickle that torch.save did not write"),
        ("x.pth", b"PK\x03\x04 garbage", "unreadable", "damaged"),
        ("x.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "unreadable", "HDF5"),
        ("x.gguf", b"GGUF" + b"\0" * 100, "unsupported_format", "GGUF"),
        ("x.pb", b"\x0a\x05hello", "unreadable", "protobuf"),
        ("x.tflite", b"\x1c\0\0\0TFL3\0\0", "unreadable", "FlatBuffer"),
        ("x.weird", b"hello", "unsupported_format", "neither its first bytes nor its name"),
    ],
)
def test_other_files_say_what_they_are(tmp_path: Path, name: str, content: bytes, reason: str, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        open_checkpoint(str(tmp_path / name))
    assert caught.value.reason == reason


def test_a_missing_file_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file") as caught:
        open_checkpoint(str(tmp_path / "x.pth"))
    assert caught.value.reason == "inaccessible"


def test_names_that_no_table_could_hold_are_escaped(tmp_path: Path) -> None:
    header = b'{"\\ud800\\n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "x.safetensors").write_bytes(raw(header, b"\0" * 4))
    (ref,) = open_checkpoint(str(tmp_path / "x.safetensors")).tensors
    assert ref.name == "\\ud800\n"
    ref.name.encode("utf-8")


def test_files_with_the_same_header_keep_their_own_bytes(tmp_path: Path) -> None:
    """Checkpoints of one net in many states: the header is understood once, and nothing of the first file is left."""
    states = [{"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4)} for _ in range(3)]
    paths = [str(tmp_path / f"step{number}.safetensors") for number in range(3)]
    for state, path in zip(states, paths, strict=True):
        save_file(state, path)
    for state, path in zip(states, paths, strict=True):
        opened = {ref.name: ref for ref in open_checkpoint(path).tensors}
        assert {ref.path for ref in opened.values()} == {path}
        for name, values in state.items():
            np.testing.assert_array_equal(read(opened[name]), values.numpy())
    save_file({"conv.weight": torch.ones(2, 3, 3, 3), "fc.weight": torch.ones(5, 2)}, paths[0])
    assert {ref.name: ref.shape for ref in open_checkpoint(paths[0]).tensors} == {
        "conv.weight": (2, 3, 3, 3),
        "fc.weight": (5, 2),
    }


def test_the_same_damage_is_told_of_every_file(tmp_path: Path) -> None:
    content = Path(written(tmp_path)).read_bytes()
    for name in ("first", "second", "first"):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content[:-1])
        with pytest.raises(CheckpointError, match="lie outside"):
            open_checkpoint(str(path))
        path.write_bytes(content)
        assert open_checkpoint(str(path)).tensors
        path.write_bytes(raw({}))
        with pytest.raises(CheckpointError, match=f"{name}.safetensors holds no tensors"):
            open_checkpoint(str(path))


def written(folder: Path) -> str:
    """A file with one matrix."""
    path = str(folder / "net.safetensors")
    save_file({"a": torch.randn(3, 2)}, path)
    return path
