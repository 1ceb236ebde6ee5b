"""Modules of the user's, lying in the current folder or in the zoo, are never imported: not here, not in any worker."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

FIRST = "zoospectra scan zoo=local zoo.path=my_models"
"""The README's, which runs here as it stands, on Ray, with what it starts."""
NAMES = ("analysis", "zoo", "conf", "jobs", "warehouse", "torch", "numpy", "pyarrow", "ray", "threadpoolctl", "random")
"""A researcher's own files, and names that shadow what we, Ray, or a starting process import."""
TABLE = "SELECT model_id, longname, profile, alpha, D, log_norm, status FROM layer_metrics ORDER BY ALL"
CONSOLE = str(Path(sys.executable).with_name("zoospectra"))
SCRIPT = """
import sys
import zoospectra

if __name__ == "__main__":
    sys.exit(zoospectra.scan(zoo="local", path=sys.argv[1], warehouse=sys.argv[2], cluster=sys.argv[3]).failed)
"""


def plant(folder: Path, marker: Path, names: tuple[str, ...] = NAMES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = f"with open({str(marker)!r}, 'a') as file:\n    file.write(__file__ + chr(10))\n"
    for name in names:
        (folder / f"{name}.py").write_text(text)


def run(words: list[str], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("hostile") / "zoo", models=2, width=32)


@pytest.fixture(scope="module")
def expected(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The table of a scan in this process, before anything is planted."""
    data = tmp_path_factory.mktemp("plain") / "data"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    return query(data, TABLE).to_pylist()


WAYS = {
    "README": [CONSOLE, *FIRST.split()[1:]],
    "console": [CONSOLE, "scan", "zoo=local", "zoo.path={zoo}", "warehouse.dir={data}", "cluster={cluster}"],
    "module": [sys.executable, "-m", "zoospectra"],
    "script elsewhere": [sys.executable, "{elsewhere}/work.py", "{zoo}", "{data}", "{cluster}"],
    "script beside them": [sys.executable, "work.py", "{zoo}", "{data}", "{cluster}"],
}
WAYS["module"] += WAYS["console"][1:]
CASES = [
    pytest.param("README", "local", marks=pytest.mark.ray),
    pytest.param("console", "inline", marks=pytest.mark.slow),
    *((way, "inline") for way in ("module", "script elsewhere", "script beside them")),
    pytest.param("script beside them", "local", marks=[pytest.mark.ray, pytest.mark.slow]),
]


@pytest.mark.parametrize(("way", "cluster"), CASES)
def test_nothing_is_imported_from_the_current_folder_or_the_zoo(
    way: str, cluster: str, zoo: Path, expected: list[dict[str, object]], tmp_path: Path
) -> None:
    marker, folder, elsewhere = tmp_path / "marker", tmp_path / "cwd", tmp_path / "elsewhere"
    # the interpreter itself, before any line of ours, looks for its own modules beside a script and for `python -m`
    plant(folder, marker, NAMES if way in ("README", "console", "script elsewhere") else NAMES[:-1])
    plant(zoo, marker)
    (folder / "my_models").symlink_to(zoo)
    elsewhere.mkdir()
    for place in (elsewhere, folder):
        (place / "work.py").write_text(SCRIPT)
    words = {"zoo": str(zoo), "data": "data", "cluster": cluster, "elsewhere": str(elsewhere)}
    run([word.format(**words) for word in WAYS[way]], folder)
    assert not marker.exists(), marker.read_text()
    assert query(folder / "data", TABLE).to_pylist() == expected


@pytest.mark.slow
@pytest.mark.ray
def test_nothing_is_imported_from_there_on_a_cluster_that_is_joined(
    zoo: Path, expected: list[dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, folder = tmp_path / "marker", tmp_path / "cwd"
    plant(folder, marker)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}", "--num-cpus=2"]
    start += ["--include-dashboard=false"]
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # the head starts before a token was made
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    with (tmp_path / "log").open("w") as log:
        head = subprocess.Popen(start, cwd="/", env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        while "Ray runtime started" not in (tmp_path / "log").read_text():
            assert head.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        words = [CONSOLE, "scan", "zoo=local", f"zoo.path={zoo}", "warehouse.dir=data", "cluster=ray"]
        run([*words, f"cluster.address=127.0.0.1:{port}"], folder)
    finally:
        started = psutil.Process(head.pid).children(recursive=True)
        head.terminate()
        psutil.wait_procs(started, timeout=10)
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        head.wait(30)
    assert not marker.exists(), marker.read_text()
    assert query(folder / "data", TABLE).to_pylist() == expected


TRAIN = """
import itertools, pathlib, sys
from zoospectra.zoo.sources.digits.population import TrainingSettings as Settings, population
from zoospectra.zoo.sources.digits.workshop import make_missing

if __name__ == "__main__":
    make_missing(pathlib.Path(sys.argv[1]), population()[:1], Settings(), workers=1)
"""


def test_digits_are_trained_beside_hostile_files(tmp_path: Path) -> None:
    marker, folder, elsewhere = tmp_path / "marker", tmp_path / "cwd", tmp_path / "elsewhere"
    plant(folder, marker)
    elsewhere.mkdir()
    (elsewhere / "train.py").write_text(TRAIN)
    run([sys.executable, str(elsewhere / "train.py"), str(tmp_path / "digits")], folder)
    assert not marker.exists(), marker.read_text()
    assert len(list((tmp_path / "digits").glob("*.safetensors"))) == 1
