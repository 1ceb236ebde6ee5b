"""Local zoos: what is a model, what identifies it, and that unchanged files are not read again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.namespaces import mounts, unshared
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.sources import SOURCES, source
from zoospectra.zoo.sources.fingerprint import FingerprintCache, file_sha256
from zoospectra.zoo.sources.local import LocalOptions, crawl


def weights(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"w": torch.full((3, 3), float(seed))}, path)
    return path


def test_the_real_zoo(shared: Path) -> None:
    models = crawl(str(shared / "zoo"))
    assert len(models) == 21
    assert [model.model_id for model in models] == sorted(model.model_id for model in models)
    first = models[0]
    assert first.model_id == "local/cifar10-resnet/resnet20-12fca82f.th"
    # The authors put the first eight digits of the sha256 into the name.
    assert all(
        model.weights_sha256 and model.weights_sha256.startswith(model.name.rsplit("-", 1)[1].removesuffix(".th"))
        for model in models[:4]
    )
    assert first.revision == first.weights_sha256 == file_sha256(first.path)
    assert {model.series for model in models} >= {"ResNet-CIFAR", "ResNet20-Distiller", "ACAS-Xu"}


def test_only_weights_are_models(tmp_path: Path) -> None:
    weights(tmp_path / "b.pth")
    weights(tmp_path / "a" / "deep" / "x.pt")
    weights(tmp_path / ".hidden" / "x.pt")
    weights(tmp_path / "a" / ".x.pt")
    weights(tmp_path / "__pycache__" / "x.pt")
    weights(tmp_path / "no_suffix")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07")
    for name in ("README", "README.md", "notes.txt", "config.json", "plot.png", "train.py", "data.zip"):
        (tmp_path / name).write_bytes(b"PK\x05\x06" + b"\0" * 18)
    assert [model.name for model in crawl(str(tmp_path))] == ["a/deep/x.pt", "b.pth", "net.onnx", "no_suffix"]


def test_a_model_folder_is_one_model(tmp_path: Path) -> None:
    folder = tmp_path / "org" / "net"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    shards = {"model-1.safetensors": {"a": torch.ones(2, 2)}, "model-2.safetensors": {"b": torch.ones(2, 2)}}
    for name, state in shards.items():
        save_file(state, folder / name)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    weights(tmp_path / "other.pt")
    net, other = crawl(str(tmp_path), name="zoo7")
    assert (net.model_id, net.series, net.dataset) == ("zoo7/org/net", "bert", None)
    assert other.series is None
    lines = "".join(f"{name}:{file_sha256(str(folder / name))}\n" for name in sorted(shards))
    assert net.weights_sha256 == net.revision == hashlib.sha256(lines.encode()).hexdigest()
    assert len(open_checkpoint(net.path).tensors) == 2
    (only,) = crawl(str(folder))
    assert (only.model_id, only.revision) == ("local/net", net.revision)


def test_a_single_file_is_a_zoo_of_one(tmp_path: Path) -> None:
    path = weights(tmp_path / "x.pt")
    (model,) = crawl(str(path))
    assert (model.model_id, model.path) == ("local/x.pt", str(path))


def test_a_file_that_only_the_catalog_knows_fails_when_it_is_opened(tmp_path: Path) -> None:
    weights(tmp_path / "x.pt")
    (tmp_path / "catalog.csv").write_text("file,series,depth\nlost.pt,VGG,3\n")
    found, lost = crawl(str(tmp_path))
    assert found.extra == {}
    assert (lost.model_id, lost.series, lost.extra) == ("local/lost.pt", "VGG", {"depth": 3})
    assert (lost.revision, lost.weights_sha256) == ("missing", None)
    with pytest.raises(CheckpointError, match="No such file") as caught:
        open_checkpoint(lost.path)
    assert caught.value.reason == "inaccessible"


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = weights(tmp_path / "outside" / "x.pt")
    weights(tmp_path / "zoo" / "real.pt")
    (tmp_path / "zoo" / "inner.pt").symlink_to(tmp_path / "zoo" / "real.pt")
    (tmp_path / "zoo" / "outer.pt").symlink_to(outside)
    (tmp_path / "zoo" / "folder").symlink_to(outside.parent)
    (tmp_path / "zoo" / "loop.pt").symlink_to(tmp_path / "zoo" / "loop.pt")
    assert [model.name for model in crawl(str(tmp_path / "zoo"))] == ["inner.pt", "loop.pt", "real.pt"]
    (tmp_path / "zoo" / "catalog.csv").write_text("file\nouter.pt\n")
    with pytest.raises(ValueError, match=r"outer\.pt.*leaves the folder"):
        crawl(str(tmp_path / "zoo"))


@pytest.mark.parametrize("name", ["new\nline.pt", "ünïcode 模型.pt", "comma,quote'.pt", "%2e%2e.pt"])
def test_strange_names_are_data(tmp_path: Path, name: str) -> None:
    weights(tmp_path / name)
    (model,) = crawl(str(tmp_path))
    assert model.model_id == f"local/{name}"
    assert len(open_checkpoint(model.path).tensors) == 1


def test_a_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    path = weights(tmp_path / "x.pt")
    os.rename(path, os.fsencode(tmp_path) + b"/\xff.pt")
    (model,) = crawl(str(tmp_path))
    assert model.model_id == "local/\\xff.pt"
    assert len(open_checkpoint(model.path).tensors) == 1


@pytest.mark.parametrize("make", [False, True])
def test_a_missing_or_empty_folder_says_what_to_do(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "zoo").mkdir()
    with pytest.raises(ValueError, match=r"zoo\.path=.*(give a folder|expected one of)") as caught:
        crawl(str(tmp_path / "zoo"))
    assert "\n" not in str(caught.value)


class Counting:
    """Hashes files and remembers which."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: str) -> str:
        self.read.append(Path(path).name)
        return file_sha256(path)


def test_only_changed_files_are_read_again(tmp_path: Path) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    for seed, name in enumerate(("a.pt", "b.pt", "c.pt")):
        weights(zoo / name, seed)
    first = Counting()
    before = crawl(str(zoo), fingerprints=FingerprintCache.load(cache, first))
    assert first.read == ["a.pt", "b.pt", "c.pt"]
    second = Counting()
    assert crawl(str(zoo), fingerprints=FingerprintCache.load(cache, second)) == before
    assert second.read == []
    stat = (zoo / "b.pt").stat()
    weights(zoo / "b.pt", 7)  # same size, new bytes
    os.utime(zoo / "b.pt", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    third = Counting()
    after = crawl(str(zoo), fingerprints=FingerprintCache.load(cache, third))
    assert third.read == ["b.pt"]
    assert [a.revision == b.revision for a, b in zip(after, before, strict=True)] == [True, False, True]
    assert os.listdir(cache) == ["fingerprints.jsonl"]


def test_a_file_is_known_by_size_time_and_inode_under_any_name(tmp_path: Path) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    for seed, name in enumerate(("a.pt", "b.pt", "c.pt")):
        weights(zoo / name, seed)
    before = {model.name: model.revision for model in crawl(str(zoo), fingerprints=FingerprintCache.load(cache))}
    stat = (zoo / "b.pt").stat()
    weights(tmp_path / "other" / "b.pt", 7)  # another file of the same size and time in its place
    os.utime(tmp_path / "other" / "b.pt", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(tmp_path / "other" / "b.pt", zoo / "b.pt")
    assert (zoo / "b.pt").stat().st_size == stat.st_size
    os.rename(zoo / "a.pt", zoo / "z.pt")
    os.utime(zoo / "c.pt")
    counting = Counting()
    after = {m.name: m.revision for m in crawl(str(zoo), fingerprints=FingerprintCache.load(cache, counting))}
    assert counting.read == ["b.pt", "c.pt"]
    assert (after["z.pt"], after["c.pt"]) == (before["a.pt"], before["c.pt"])
    assert after["b.pt"] == file_sha256(zoo / "b.pt") != before["b.pt"]


def test_a_doubted_cache_reads_every_file_once(tmp_path: Path) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    for name in ("a.pt", "b.pt"):
        weights(zoo / name)
    before = crawl(str(zoo), fingerprints=FingerprintCache.load(cache))
    counting = Counting()
    assert crawl(str(zoo), fingerprints=FingerprintCache.load(cache, counting, doubt=True)) == before
    assert counting.read == ["a.pt", "b.pt"]


def test_a_damaged_cache_is_forgotten_line_by_line(tmp_path: Path) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    weights(zoo / "a.pt")
    weights(zoo / "b.pt")
    before = crawl(str(zoo), fingerprints=FingerprintCache.load(cache))
    path = cache / "fingerprints.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + "\n" + lines[1][:20] + "\n[1,2]\nnonsense\n")
    counting = Counting()
    assert crawl(str(zoo), fingerprints=FingerprintCache.load(cache, counting)) == before
    assert counting.read == ["b.pt"]


def test_an_unreadable_file_is_still_listed(tmp_path: Path) -> None:
    weights(tmp_path / "x.pt")

    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    (model,) = crawl(str(tmp_path), fingerprints=FingerprintCache(None, refuse))
    assert (model.weights_sha256, model.revision) == (None, "missing")


def test_sources_are_known_by_name() -> None:
    assert source("local").options(path="x") == LocalOptions(path="x")
    with pytest.raises(ValueError, match=r"unknown source of models 'nowhere'; known: .*local"):
        source("nowhere")
    assert "local" in SOURCES


@pytest.mark.parametrize(
    "name", ["listed.safetensors", "model-00001-of-00001.safetensors", "config.json", "catalog.csv"]
)
def test_a_pipe_blocks_nobody(tmp_path: Path, name: str) -> None:
    torch.save({"fc.weight": torch.randn(8, 8)}, tmp_path / "net.pth")
    (tmp_path / "pytorch_model.bin").write_bytes((tmp_path / "net.pth").read_bytes())
    if name == "listed.safetensors":
        (tmp_path / "catalog.csv").write_text(f"file\n{name}\n")
    index = {"weight_map": {"fc.weight": "model-00001-of-00001.safetensors"}}
    if name.startswith("model-"):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    os.mkfifo(tmp_path / name)
    opened = {model.name: _opened(model.path) for model in crawl(str(tmp_path))}
    assert opened.pop("net.pth", None) is None
    assert {error.reason for error in opened.values() if error is not None} <= {Reason.UNREADABLE}
    assert any(opened.values()) == (name not in ("config.json", "catalog.csv"))


def _opened(path: str) -> CheckpointError | None:
    try:
        open_checkpoint(path)
    except CheckpointError as error:
        return error
    return None


SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"

TWICE = """import sys
from pathlib import Path
from zoospectra.zoo.sources.fingerprint import FingerprintCache, file_sha256
path, times = Path(sys.argv[1], "a.pt"), set()
for number in range(3):
    path.write_bytes(b"%032d" % number)
    cache = FingerprintCache.load(sys.argv[1])
    assert cache.sha256(str(path)) == file_sha256(path)
    cache.save()
    times.add(path.stat().st_mtime_ns)
assert len(times) == 3 and not sum(times) % 10**9, times
"""


@mounts
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mkfs.ext4", path=SBIN) is None, reason="needs a file system that keeps whole seconds")
def test_a_file_that_changes_twice_in_one_second_of_its_clock_is_read_again(tmp_path: Path) -> None:
    """Both changes have one time, one size, one inode."""
    code = f"truncate -s 4M {tmp_path}/disk && mkfs.ext4 -q -I 128 {tmp_path}/disk && mkdir {tmp_path}/on && "
    code += (
        f"mount -o loop {tmp_path}/disk {tmp_path}/on && exec {sys.executable} - {tmp_path}/on <<'END'\n{TWICE}\nEND"
    )
    ended = unshared(code, PATH=SBIN)
    if "mount:" in ended.stderr:
        pytest.skip(f"needs a loop device: {ended.stderr}")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("seconds", [0, -(10**9), 4 * 10**9, 13 * 10**9, None])
def test_times_of_a_wrong_clock_are_times(tmp_path: Path, seconds: float | None) -> None:
    """1970, 1938, 2096, 2381 and months from now; then the file is changed by whoever sets no time, and set back."""
    path = tmp_path / "a.pt"

    def digest() -> str:
        cache = FingerprintCache.load(tmp_path / "cache", counting := Counting())
        found = cache.sha256(str(path))
        cache.save()
        read.extend(counting.read)
        return found

    read: list[str] = []
    path.write_bytes(b"one")
    modified = time.time() + 10**7 if seconds is None else seconds
    os.utime(path, (modified, modified))
    assert digest() == digest() == file_sha256(path)
    path.write_bytes(b"two")
    assert digest() == file_sha256(path)
    os.utime(path, (modified + 1, modified + 1))
    path.with_suffix(".new").write_bytes(b"six")
    os.replace(path.with_suffix(".new"), path)
    os.utime(path, (modified, modified))
    assert digest() == file_sha256(path)
    assert read == ["a.pt"] * 3
