"""numpy's files: arrays in every order and compression, Flax kernels, and headers that lie."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import content_hash, read
from zoospectra.zoo.checkpoint.trouble import CheckpointError

ARRAY = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_archive(tmp_path: Path, save: object) -> None:
    arrays = {
        "a/kernel": ARRAY,
        "fortran": np.asfortranarray(ARRAY),
        "half": ARRAY.astype(np.float16),
        "cube": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        "steps": np.array(7),
        "empty": np.zeros((0, 4), np.float32),
    }
    save(tmp_path / "x.npz", **arrays)  # type: ignore[operator]
    refs = {ref.name: ref for ref in open_checkpoint(str(tmp_path / "x.npz")).tensors}
    assert set(refs) == set(arrays)
    np.testing.assert_array_equal(read(refs["a/kernel"]), ARRAY.T)
    for name in ("fortran", "half", "cube", "steps", "empty"):
        np.testing.assert_array_equal(read(refs[name]), arrays[name])
    np.save(tmp_path / "x.npy", ARRAY)
    (alone,) = open_checkpoint(str(tmp_path / "x.npy")).tensors
    np.testing.assert_array_equal(read(alone), ARRAY)
    assert content_hash(alone) == content_hash(refs["fortran"])


def test_objects_and_strange_types_are_refused_one_by_one(tmp_path: Path) -> None:
    arrays = {"o": np.array([{}], object), "big": ARRAY.astype(">f4"), "t": np.array(["x"]), "ok": ARRAY}
    np.savez(tmp_path / "x.npz", **arrays)
    checkpoint = open_checkpoint(str(tmp_path / "x.npz"))
    assert [ref.name for ref in checkpoint.tensors] == ["ok"]
    assert {skip.tensor: skip.reason for skip in checkpoint.skips} == {
        "o": "unsafe",
        "big": "unsupported_dtype",
        "t": "unsupported_dtype",
    }


def header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_array_that_claims_terabytes_is_refused(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", compression) as archive:
        archive.writestr("a.npy", header((10**6, 10**6)) + bytes(16))
    (tmp_path / "x.npy").write_bytes(header((10**6, 10**6)) + bytes(16))
    for name in ("x.npz", "x.npy"):
        with pytest.raises(CheckpointError, match="4000000000000 bytes") as caught:
            open_checkpoint(str(tmp_path / name))
        assert caught.value.reason == "unsafe"


def test_an_archive_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(header((100, 1 << 18)))
        for _ in range(200):
            member.write(bytes(1 << 20))
    with pytest.raises(CheckpointError, match="inflates") as caught:
        open_checkpoint(str(tmp_path / "x.npz"))
    assert caught.value.reason == "unsafe"


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY\x01\x00\xff\xff" + b" " * 70000,
        b"\x93NUMPY\x01\x00\x20\x00__import__('os').system('true')  \n",
        b"\x93NUMPY\x09\x00\x20\x00" + b" " * 32,
        header((3,))[:20],
        header((2, 2)).replace(b"(2, 2)", b"(-2,2)"),
    ],
)
def test_a_damaged_header_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", content)
    for name in ("x.npz", "x.npy"):
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(str(tmp_path / name))
        assert caught.value.reason == "unreadable"
