"""What a process is given by whoever starts it: streams, folders, limits, rights, signals. A line, and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.jobs.places import heed_interrupts
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.work.executors.start import own_signals
from zoospectra.warehouse.query import query

ZOOSPECTRA = f"{sys.executable} -m zoospectra"
COUNTS = "SELECT (SELECT count(*) FROM layers), (SELECT count(*) FROM layer_metrics), (SELECT count(*) FROM models)"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("surroundings") / "zoo", models=3)


def scan(zoo: Path, data: Path, cluster: str = "inline") -> str:
    return f"{ZOOSPECTRA} scan zoo=local zoo.path={zoo} cluster={cluster} warehouse.dir={data}"


def bash(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", code], check=False, capture_output=True, text=True)


def test_streams_that_are_closed_go_nowhere() -> None:
    ended = bash(f"{ZOOSPECTRA} --help <&- >&-")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_scan_without_streams_writes_its_warehouse_and_nothing_else(zoo: Path, tmp_path: Path, closed: str) -> None:
    ended = bash(f"{scan(zoo, tmp_path / 'w')} {closed}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(query(tmp_path / "w", COUNTS).to_pylist()[0].values()) == [12, 12, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("ulimit -f 1;", "parts/catalog: File too large; raise its limit (ulimit -f), or give warehouse.dir=DIR on"),
        ("ulimit -f 300;", ": File too large; raise its limit (ulimit -f), or give warehouse.dir=DIR on"),
        ("ulimit -v 500000;", "out of memory ("),
        ("mkdir gone; cd gone; rmdir ../gone;", "the current folder is gone: cd to one that exists"),
    ],
)
def test_a_limit_is_a_line_and_the_next_run_goes_on(zoo: Path, tmp_path: Path, before: str, line: str) -> None:
    data = tmp_path / "w"
    # A limit of files would cut the bytecode that Python 3.11 writes, and it would take it for whole the next time.
    ended = bash(f"export PYTHONDONTWRITEBYTECODE=1; cd {tmp_path}; {before} {scan(zoo, data)}")
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1
    assert "gone" in before or "Traceback" not in ended.stderr, ended.stderr  # Python itself shows one there
    assert line in last
    assert last.endswith("what was finished is kept, the same command goes on from there")
    assert bash(scan(zoo, data)).returncode == 0
    assert list(query(data, COUNTS).to_pylist()[0].values()) == [12, 12, 3]


@pytest.mark.slow
@pytest.mark.parametrize("before", ["ulimit -n 32;", "LC_ALL=C PYTHONUTF8=0", "env -u HOME", "HOME=/no TMPDIR=/no"])
def test_little_is_enough(zoo: Path, tmp_path: Path, before: str) -> None:
    ended = bash(f"{before} {scan(zoo, tmp_path / 'w')}")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
def test_many_small_models_need_few_open_files(tmp_path: Path) -> None:
    """A mapped file keeps a descriptor, and a task opens dozens of models."""
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    for seed in range(300):
        values = np.random.default_rng(seed).standard_normal((20, 16)).astype("f4")
        save_file({"fc.weight": values}, zoo / f"{seed}.safetensors")
    ended = bash(f"ulimit -n 64; {scan(zoo, tmp_path / 'w')}")
    assert ended.returncode == 0, ended.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="gives rights away, which needs them")
def test_what_a_user_may_not_read_is_a_line(zoo: Path, tmp_path: Path) -> None:
    """A generation that a job of another user has written, and a folder of the zoo."""
    assert bash(scan(zoo, tmp_path / "w")).returncode == 0
    rights = "-dac_override,-dac_read_search"
    user = f"setpriv --bounding-set={rights} --inh-caps={rights} {ZOOSPECTRA}"
    (generation,) = (tmp_path / "w").glob("warehouse-*.duckdb")
    generation.chmod(0)
    ended = bash(f"{user} sql 'FROM models' warehouse.dir={tmp_path / 'w'}")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert f"{generation}: Permission denied; give this user access to it" in ended.stderr


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_no_checkpoint(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.pt"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    assert main(["check", str(path)]) == 2
    assert "net.pt: a pipe, a socket or a device; expected a checkpoint" in capsys.readouterr().err
    assert main(["describe", str(path)]) == 2
    assert "net.pt: no plain file" in capsys.readouterr().err


def test_ray_does_not_decide_what_the_end_of_a_process_is() -> None:
    """It replaces the handler of SIGTERM by one that exits as if all were well, where nobody hears of it."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with own_signals():
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # ray._private.worker.init's
            signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("cluster", "seconds"), [("inline", 0.5), *(pytest.param("local", s, marks=pytest.mark.ray) for s in (1.5, 5))]
)
def test_a_process_that_is_asked_to_end_keeps_what_is_finished(
    tmp_path: Path, name: str, cluster: str, seconds: float
) -> None:
    """While Ray starts, and while models are read; nohup's SIGHUP ends nothing."""
    zoo, data = make_zoo(tmp_path / "zoo", models=40), tmp_path / "w"
    command = [*scan(zoo, data, cluster).split(), "shard_seconds=0.0001", "warehouse.log_seconds=0.1"]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    job = subprocess.Popen(command, preexec_fn=heed_interrupts, **options)  # type: ignore[call-overload]  # noqa: PLW1509
    while not (data / "parts").is_dir() and job.poll() is None:
        time.sleep(0.02)
    time.sleep(seconds)
    job.send_signal(getattr(signal, name))
    _, errors = job.communicate(timeout=100)
    assert job.returncode == 128 + getattr(signal, name), errors
    assert errors.strip().splitlines()[-1] == (
        f"zoospectra scan: ended by {name}; what was finished is kept, the same command goes on from there"
    )
    assert bash(scan(zoo, data)).returncode == 0
    assert list(query(data, COUNTS).to_pylist()[0].values()) == [160, 160, 40]
