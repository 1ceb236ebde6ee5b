"""The cache's disk fails for real while remote models are scanned: full, removed in the middle, shared by two runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import Loopback, Repo
from tests.namespaces import UNSHARED, mounts
from tests.zoo.fetch import models
from zoospectra.warehouse.query import query

pytestmark = [
    pytest.mark.slow,
    mounts,
]
MAIN = "import sys; from zoospectra.jobs.main import main; sys.exit(main())"
ROWS = "SELECT * EXCLUDE (written) FROM layer_metrics ORDER BY ALL"
FAILED = "SELECT model_id, reason, detail FROM skipped WHERE failed ORDER BY ALL"
NAMES = [f"a/m{number}" for number in range(6)]


@pytest.fixture(scope="module")
def hub() -> Iterator[Loopback]:
    """Six models of 1.9 MB."""
    with Loopback() as server:
        config = b'{"model_type": "gpt2"}'
        for number, name in enumerate(NAMES, 1):
            tensors = {key: number * values for key, values in models.gpt2(128).items()}
            repo = Repo(name, {"config.json": config, "model.safetensors": models.safetensors(tensors)})
            server.content.repos.append(repo)
        yield server


def start(hub: Loopback, data: Path, setup: str = "true") -> subprocess.Popen[str]:
    """A scan of all models in a namespace of its own, after a command that may change its disks."""
    (data / "cache").mkdir(parents=True, exist_ok=True)
    words = f"zoo=huggingface zoo.ids={','.join(NAMES)} warehouse.dir={data} fetch.rate=1000 cluster=inline"
    command = f"{setup} && exec {sys.executable} -c '{MAIN}' scan {words}"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    return subprocess.Popen([*UNSHARED, command], env=environment, stdout=subprocess.DEVNULL, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def undisturbed(hub: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("undisturbed")
    assert start(hub, data).wait(250) == 0
    return data


def test_a_full_disk_makes_room_for_what_is_read(hub: Loopback, undisturbed: Path, tmp_path: Path) -> None:
    run = start(hub, tmp_path, f"mount -t tmpfs -o size=3m none {tmp_path}/cache")
    _, error = run.communicate(timeout=250)
    assert run.returncode == 0, error
    assert query(tmp_path, ROWS).equals(query(undisturbed, ROWS))


def test_a_disk_that_holds_not_even_a_tensor_is_a_reason(hub: Loopback, undisturbed: Path, tmp_path: Path) -> None:
    run = start(hub, tmp_path, f"mount -t tmpfs -o size=200k none {tmp_path}/cache")
    _, error = run.communicate(timeout=250)
    assert (run.returncode, "Traceback" in error) == (3, False), error
    rows = query(tmp_path, FAILED).to_pylist()
    assert {row["reason"] for row in rows} == {"inaccessible"}
    assert all("lower fetch.cache_gb or free the disk" in row["detail"] for row in rows), rows
    assert start(hub, tmp_path).wait(250) == 0
    assert query(tmp_path, ROWS).equals(query(undisturbed, ROWS))


def test_a_cache_that_is_removed_meanwhile_is_made_anew(hub: Loopback, undisturbed: Path, tmp_path: Path) -> None:
    run = start(hub, tmp_path)
    while run.poll() is None and not any(file.is_file() for file in tmp_path.glob("cache/*/ranges/*/*")):
        time.sleep(0.01)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    _, error = run.communicate(timeout=250)
    assert run.returncode == 0, error
    assert query(tmp_path, ROWS).equals(query(undisturbed, ROWS))


def test_two_runs_share_what_either_has_fetched(hub: Loopback, undisturbed: Path, tmp_path: Path) -> None:
    before = len(hub.requests("resolve"))
    runs = [start(hub, tmp_path), start(hub, tmp_path)]
    errors = [run.communicate(timeout=250)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    asked = [seen for seen in hub.requests("resolve")[before:] if seen.path.endswith("model.safetensors")]
    assert max(Counter((seen.path, seen.range) for seen in asked).values()) == 1
    assert query(tmp_path, ROWS).equals(query(undisturbed, ROWS))
