"""A zoo where a way is blocked: rows for what cannot be reached, everything else is listed."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.sources.local import crawl

STRACE = shutil.which("strace") is not None
LISTED = ("fine.pt", "folder/fine.pt", "folder/inner/fine.pt")


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    root = tmp_path / "zoo"
    for name in LISTED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"fc.weight": torch.randn(8, 8)}, root / name)
    return root


def reasons(root: Path) -> dict[str, str]:
    """Model -> why it fails; '' for one that opens."""
    found = {}
    for model in crawl(str(root)):
        found[model.name] = str(model.trouble.reason) if model.trouble else ""
        if model.trouble is None:
            try:
                open_checkpoint(model.path)
            except CheckpointError as error:
                found[model.name] = str(error.reason)
    return found


def test_links_to_nothing_pipes_and_sockets_have_rows(zoo: Path) -> None:
    (zoo / "gone.safetensors").symlink_to("not/there.safetensors")
    (zoo / "loop.pt").symlink_to("loop.pt")
    (zoo / "folder" / "up").symlink_to("..")
    os.mkfifo(zoo / "pipe.onnx")
    here = os.getcwd()
    os.chdir(zoo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.h5")
    os.chdir(here)
    (zoo / "hub").mkdir()
    (zoo / "hub" / "config.json").write_text("{}")
    (zoo / "hub" / "model.safetensors").symlink_to("../blobs/0")
    facts = {"loop.pt": "unreadable", "pipe.onnx": "unreadable", "socket.h5": "unreadable"}
    passing = {"gone.safetensors": "inaccessible", "hub": "inaccessible"}
    assert reasons(zoo) == dict.fromkeys(LISTED, "") | facts | passing


def test_an_empty_folder_of_a_model_and_a_missing_shard_are_no_verdicts(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(CheckpointError, match="is it mounted here") as caught:
        open_checkpoint(str(tmp_path / "net"))
    assert caught.value.reason is Reason.INACCESSIBLE
    (tmp_path / "net" / "config.json").write_text("{}")
    (tmp_path / "net" / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"model-1\.safetensors is missing") as caught:
        open_checkpoint(str(tmp_path / "net"))
    assert caught.value.reason is Reason.INACCESSIBLE


@pytest.mark.slow
@pytest.mark.skipif(not STRACE, reason="errors of system calls are injected by strace")
@pytest.mark.parametrize("call", ["getdents64:error=ESTALE", "openat:error=EACCES"])
def test_a_folder_that_cannot_be_listed_is_a_row_and_its_neighbours_are_scanned(zoo: Path, call: str) -> None:
    output = scan(zoo, zoo / "folder", call)
    assert output.returncode == 3, output.stderr
    assert '"failed": 1' in output.stdout
    assert '"local/fine.pt"' in output.stdout
    assert '"model_id": "local/folder", "tensor": null, "reason": "inaccessible"' in flat(output.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not STRACE, reason="errors of system calls are injected by strace")
@pytest.mark.parametrize("call", ["newfstatat:error=EIO", "openat:error=ESTALE", "read,pread64:error=EIO"])
def test_a_file_that_cannot_be_looked_at_is_a_row(zoo: Path, call: str) -> None:
    output = scan(zoo, zoo / "folder" / "fine.pt", call)
    assert output.returncode == 3, output.stderr
    assert '"model_id": "local/folder/fine.pt", "tensor": null, "reason": "inaccessible"' in flat(output.stdout)
    assert '"failed": 1' in output.stdout


@pytest.mark.slow
@pytest.mark.skipif(not STRACE, reason="errors of system calls are injected by strace")
def test_a_zoo_that_cannot_be_listed_is_no_misuse(zoo: Path) -> None:
    output = scan(zoo, zoo, "getdents64:error=EIO")
    assert output.returncode == 1
    assert output.stderr.count("\n") == 1
    assert os.strerror(errno.EIO) in output.stderr


HANGING = """import time
from zoospectra.jobs.main import main
from zoospectra.jobs import silence
from zoospectra.zoo.sources import fingerprint
fingerprint.plain_file = lambda path: time.sleep(600)
silence.SILENCE = 1.0
main()
"""
"""The command where a look at a file never comes back."""


@pytest.mark.slow
def test_a_disk_that_hangs_while_the_zoo_is_listed_ends_in_a_line(zoo: Path) -> None:
    words = [sys.executable, "-c", HANGING, "catalog", "zoo=local", f"zoo.path={zoo}"]
    words += [f"warehouse.dir={zoo.parent / 'warehouse'}"]
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=200)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert f"{zoo / 'fine.pt'} or what lies beside it does not answer" in ended.stderr


def scan(zoo: Path, path: Path, call: str) -> subprocess.CompletedProcess[str]:
    """A scan during which a system call on a path fails."""
    words = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(path), "-e", "trace=all", "-e", f"inject={call}"]
    words += [sys.executable, "-m", "zoospectra", "scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline"]
    words += ["format=json", f"warehouse.dir={zoo.parent / 'warehouse'}"]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def flat(text: str) -> str:
    return " ".join(text.split())
