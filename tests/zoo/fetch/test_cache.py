"""The cache: bounded, least recently used first, nothing in use evicted, nothing half-written in place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoospectra.zoo.fetch.cache import HELD, Cache
from zoospectra.zoo.fetch.errors import FetchError

MIB = 1 << 20


def key(number: int) -> str:
    return f"{number:040x}"


def fill(cache: Cache, number: int, size: int = MIB) -> Path:
    path = cache.path("files", key(number))
    return cache.put(path, lambda temporary: temporary.write_bytes(os.urandom(size)) and None)


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_the_bound_holds_and_the_oldest_leave_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 4 * MIB)
    paths = []
    for number in range(10):
        paths.append(fill(cache, number))
        age(paths[-1], 1000 - number)
        cache.release()
    assert sum(path.stat().st_blocks * 512 for path in paths if path.exists()) <= 4 * MIB
    assert [path.exists() for path in paths] == [False] * 6 + [True] * 4


def test_use_makes_young(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 3 * MIB)
    paths = [fill(cache, number) for number in range(3)]
    for number, path in enumerate(paths):
        age(path, 1000 - number)
    assert cache.get(paths[0]) == paths[0]
    cache.release()
    fill(cache, 3)
    assert [path.exists() for path in paths] == [True, False, True]


def test_what_is_held_is_never_evicted_not_even_by_another_process(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 100 * MIB)
    held = fill(cache, 0)
    age(held, 5000)
    script = (
        "import sys, pathlib; from zoospectra.zoo.fetch.cache import Cache\n"
        "print(Cache(pathlib.Path(sys.argv[1]), 1).evict() > 0)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"
    assert held.exists()
    cache.release()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
    assert not held.exists()


def test_a_process_holds_its_last_files_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000 * MIB)
    paths = [fill(cache, number, 4096) for number in range(HELD + 3)]
    assert Cache(tmp_path, 1).evict() == HELD * 4096
    assert [path.exists() for path in paths] == [False] * 3 + [True] * HELD


def test_holes_take_no_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10 * MIB)

    def sparse(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b"header")
            file.truncate(1 << 40)

    path = cache.put(cache.path("headers", key(1), ".safetensors"), sparse)
    assert path.stat().st_size == 1 << 40
    assert cache.evict() <= 8192


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, MIB)
    path = cache.path("files", key(1))

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FetchError) as caught:
        cache.put(path, fail)
    assert caught.value.reason == "inaccessible"
    assert "fetch.cache_gb" in caught.value.detail
    assert [file for file in tmp_path.rglob("*") if file.is_file() and "locks" not in file.parts] == []


def test_an_evicted_file_is_not_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10 * MIB)
    path = fill(cache, 1)
    cache.release()
    Cache(tmp_path, 1).evict()
    assert cache.get(path) is None
