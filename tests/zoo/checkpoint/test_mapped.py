"""Bytes of mapped files that cannot be read: a reason and the next run, not the death of the process by SIGBUS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from zoospectra.zoo.checkpoint.mapped import reach
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, is_access_failure

LOOP = (
    subprocess.run(["losetup", "-f"], check=False, capture_output=True).returncode == 0 if os.name == "posix" else False
)


def test_a_file_that_shrinks_while_it_is_mapped_is_inaccessible(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)) * 256)
    values = np.asarray(np.memmap(path, dtype=np.uint8, mode="r")).reshape(256, 256)
    assert reach(values[3:5, ::7]).sum() == 2 * sum(range(0, 256, 7))
    os.truncate(path, 8192)
    assert reach(values[:32]).sum() == 32 * sum(range(256))
    for lost in (
        values,
        values[100:101],
        values[::100, 5],
        np.lib.stride_tricks.as_strided(values, (64, 2), (1024, 1)),
    ):
        with pytest.raises(CheckpointError, match=r"ends at 8192 bytes") as caught:
            reach(lost)
        assert caught.value.reason is Reason.INACCESSIBLE


def test_what_hdf5_heard_from_the_system_counts() -> None:
    words = "Unable to synchronously open file (file read failed: time = x, errno = {}, error message = '{}', buf = 0)"
    assert is_access_failure(OSError(words.format(5, "Input/output error")))
    assert is_access_failure(KeyError(words.format(116, "Stale file handle")))
    assert not is_access_failure(OSError(words.format(22, "Invalid argument")))
    assert not is_access_failure(OSError("truncated file: eof = 96, sblock->base_addr = 0"))


@contextmanager
def failing(source: Path, folder: Path) -> Iterator[Path]:
    """A copy of a file on a disk that fails from the middle of the file on: a loop device whose image is cut."""
    image, place = folder / "image", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(2 * source.stat().st_size + (4 << 20))
    run("mkfs.ext4", "-q", "-O", "^has_journal", str(image))
    run("mount", "-o", "loop", str(image), str(place))
    run("cp", str(source), str(place))
    run("umount", str(place))
    blocks = [int(block) for block in run("debugfs", "-R", f"blocks /{source.name}", str(image)).split()]
    run("mount", "-o", "loop", str(image), str(place))
    try:
        os.truncate(image, blocks[len(blocks) // 2] * 1024)
        run("blockdev", "--flushbufs", run("losetup", "-j", str(image)).split(":")[0])
        yield place / source.name
    finally:
        run("umount", str(place))


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not LOOP, reason="a disk that fails needs root and loop devices")
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "zipped.h5"])
def test_a_disk_that_fails_is_inaccessible_in_every_format(tmp_path: Path, name: str) -> None:
    values = {f"layer{k}.weight": np.random.default_rng(k).standard_normal((512, 512)).astype("f4") for k in range(5)}
    tensors = {key: torch.from_numpy(value) for key, value in values.items()}
    if name == "a.safetensors":
        save_file(values, tmp_path / name)
    elif name.endswith(".pth"):
        torch.save(tensors, tmp_path / name)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in values.items():
                file.create_dataset(f"{key}/kernel:0", data=value, compression="gzip", chunks=(64, 64))
    with failing(tmp_path / name, tmp_path) as path:
        words = [sys.executable, "-m", "zoospectra", "scan", "zoo=local", f"zoo.path={path}", "cluster=inline"]
        scan = subprocess.run(
            [*words, "format=json", f"warehouse.dir={tmp_path / 'w'}"], check=False, capture_output=True, text=True
        )
        check = subprocess.run(
            [sys.executable, "-m", "zoospectra", "check", str(path)], check=False, capture_output=True, text=True
        )
    assert scan.returncode == 3, scan.stderr
    assert '"reason": "inaccessible"' in scan.stdout
    assert '"reason": "unreadable"' not in scan.stdout
    assert check.returncode in (0, 3), check.stderr
