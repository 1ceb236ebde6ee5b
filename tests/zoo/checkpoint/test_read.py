"""Reading references: mapped views, bounds that are checked again, hashes, and files that change underneath."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoospectra.zoo.checkpoint.read import HASH_BLOCK, content_hash, read, stored
from zoospectra.zoo.checkpoint.tensor import TensorRef, contiguous_stride, span
from zoospectra.zoo.checkpoint.trouble import CheckpointError


def reference(folder: Path, array: np.ndarray, dtype: str = "float32", offset: int = 0) -> TensorRef:
    path = folder / "x.bin"
    path.write_bytes(b"\0" * offset + array.tobytes())
    return TensorRef("w", str(path), dtype, array.shape, None, offset, array.nbytes)


@pytest.mark.parametrize("offset", [0, 1, 3, 64, 4097])
def test_any_offset_gives_aligned_values_that_cannot_be_written(tmp_path: Path, offset: int) -> None:
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    found = read(reference(tmp_path, array, "float64", offset))
    np.testing.assert_array_equal(found, array)
    assert found.flags.aligned
    if offset % 8 == 0:
        assert not found.flags.writeable


def test_a_contiguous_tensor_is_mapped_and_not_copied(tmp_path: Path) -> None:
    array = np.zeros((1000, 5000), dtype=np.float32)
    ref = reference(tmp_path, array)
    tracemalloc.start()
    try:
        assert read(ref).shape == array.shape
        content_hash(ref)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_large_transposed_tensor_is_hashed_block_by_block(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((2000, 3000), dtype=np.float32)
    ref = reference(tmp_path, array)
    transposed = replace(ref, shape=(3000, 2000), stride=(1, 3000))
    np.testing.assert_array_equal(read(transposed), array.T)
    tracemalloc.start()
    try:
        found = content_hash(transposed)
        assert tracemalloc.get_traced_memory()[1] < 3 * HASH_BLOCK
    finally:
        tracemalloc.stop()
    assert found == content_hash(reference(tmp_path, np.ascontiguousarray(array.T)))


def test_the_hash_is_what_the_docstring_says(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    wanted = hashlib.sha256(b"float32 2x3\n" + array.tobytes()).hexdigest()
    assert content_hash(reference(tmp_path, array)) == wanted


def test_the_hash_tells_shapes_types_and_signs_of_zero_apart(tmp_path: Path) -> None:
    ref = reference(tmp_path, np.zeros((2, 6), dtype=np.float32))
    same_bytes = [ref, replace(ref, shape=(6, 2)), replace(ref, shape=(12,)), replace(ref, dtype="int32")]
    hashes = {content_hash(other) for other in same_bytes}
    hashes.add(content_hash(reference(tmp_path, np.full((2, 6), -0.0, dtype=np.float32))))
    assert len(hashes) == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (4, 4)},
        {"shape": (10**9, 10**9), "stride": (0, 0)},
        {"shape": (2, 2), "stride": (100, 1)},
        {"shape": (2, 2), "stride": (-1, 1)},
        {"shape": (2, 2), "stride": (1,)},
        {"shape": (-1, -1)},
    ],
)
def test_a_forged_reference_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    ref = replace(reference(tmp_path, np.zeros((3, 4), dtype=np.float32)), **changes)
    with pytest.raises(CheckpointError) as caught:
        read(ref)
    assert caught.value.reason == "unsafe"


def test_a_file_that_shrank_or_vanished_is_unreadable(tmp_path: Path) -> None:
    ref = reference(tmp_path, np.zeros((100, 100), dtype=np.float32))
    Path(ref.path).write_bytes(b"\0" * 100)
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        read(ref)
    assert caught.value.reason == "unreadable"
    Path(ref.path).unlink()
    with pytest.raises(CheckpointError, match="No such file") as caught:
        content_hash(ref)
    assert caught.value.reason == "inaccessible"


def test_span_and_strides_of_known_shapes() -> None:
    assert contiguous_stride((2, 3, 4)) == (12, 4, 1)
    assert contiguous_stride(()) == ()
    assert span((2, 3, 4), (12, 4, 1)) == span((2, 3, 4), None) == 24
    assert span((3, 2), (1, 10)) == 13
    assert span((), None) == span((), ()) == 1
    assert span((0, 5), (7, 7)) == 0


def test_empty_tensors_have_a_shape_and_a_hash(tmp_path: Path) -> None:
    ref = TensorRef("w", str(tmp_path / "absent"), "float32", (0, 3), None, 0, 0)
    assert stored(ref).shape == (0, 3)
    assert content_hash(ref) == hashlib.sha256(b"float32 0x3\n").hexdigest()
