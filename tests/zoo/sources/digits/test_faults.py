"""Training of the digits zoo killed, interrupted or started wrongly: whole files, no orphans, and a rerun completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from tests.namespaces import mounts, unshared
from zoospectra.zoo.sources.digits import crawl
from zoospectra.zoo.sources.digits.population import Design, Recipe, TrainingSettings
from zoospectra.zoo.sources.digits.weights import read_metadata

ROOT = Path(__file__).resolve().parents[4]
WORKERS = 2
DESIGN = Design(
    TrainingSettings(train_images=200),
    tuple(Recipe("mlp", 2, width, 1.0, 0.03, 10, 5, 0.0, seed=width) for width in range(64, 72)),
)
SCRIPT = f"""
import sys
from pathlib import Path
from zoospectra.zoo.sources.digits import crawl
from zoospectra.zoo.sources.digits.population import Design, Recipe, TrainingSettings
def progress(done, *more):
    print(done, *more, flush=True)
    if done == 4 and sys.argv[2:]:
        sys.stdin.read()  # until it is stopped, however late that is
crawl(Path(sys.argv[1]), workers={WORKERS}, design={DESIGN!r}, progress=progress)
"""


def spawned(process: psutil.Process) -> list[psutil.Process]:
    """Training processes of a crawl, without multiprocessing's own resource tracker."""
    workers = []
    for child in process.children():
        with suppress(psutil.NoSuchProcess):  # one that has ended meanwhile, a zombie included
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


@pytest.mark.parametrize("how", ["killed", "ctrl-c"])
def test_stopped_crawl_leaves_whole_files_and_no_processes_and_a_rerun_completes(tmp_path: Path, how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), "wait"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as crawler:
        assert crawler.stdout is not None
        first = crawler.stdout.readline().split()
        workers = spawned(psutil.Process(crawler.pid))
        if how == "killed":
            crawler.kill()
        else:
            os.killpg(crawler.pid, signal.SIGINT)
        crawler.communicate(timeout=60)
    assert first[:2] == ["1", str(len(DESIGN.recipes))]
    assert crawler.returncode != 0
    assert len(workers) == WORKERS
    assert psutil.wait_procs(workers, timeout=60)[1] == []

    files = {file.stem: file for file in (tmp_path / DESIGN.folder).glob("*.safetensors")}
    assert first[2] in files
    assert len(files) < len(DESIGN.recipes)
    assert all(read_metadata(file) is not None and load_file(file) for file in files.values())
    before = {name: file.stat().st_mtime_ns for name, file in files.items()}
    made: list[str] = []
    models = crawl(tmp_path, workers=0, design=DESIGN, progress=lambda done, total, name: made.append(name))
    assert {model.name for model in models} == set(made) | set(files)
    assert set(made).isdisjoint(files)
    assert {name: file.stat().st_mtime_ns for name, file in files.items()} == before


def test_killed_worker_is_an_error_with_advice_and_keeps_what_was_made(tmp_path: Path) -> None:
    def kill_all(done: int, total: int, name: str) -> None:
        for worker in spawned(psutil.Process()):
            with suppress(psutil.NoSuchProcess):
                worker.kill()

    with pytest.raises(RuntimeError, match=r"died .*run again"):
        crawl(tmp_path, workers=WORKERS, design=DESIGN, progress=kill_all)
    files = list((tmp_path / DESIGN.folder).glob("*.safetensors"))
    assert 1 <= len(files) < len(DESIGN.recipes)
    assert all(read_metadata(file) is not None for file in files)


def test_script_without_main_guard_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, script, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 1
    assert "workers=0" in run.stderr.splitlines()[-1]


def test_old_unfinished_files_are_removed_and_young_ones_left(tmp_path: Path) -> None:
    folder = tmp_path / DESIGN.folder
    folder.mkdir()
    old, young = folder / ".a.safetensors.1.part", folder / ".b.safetensors.2.part"
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    crawl(tmp_path, workers=0, design=DESIGN)
    assert not old.exists()
    assert young.exists()


@pytest.mark.slow
@mounts
def test_a_machine_whose_processes_get_no_locks_trains_in_one(tmp_path: Path) -> None:
    code = f'mount -t tmpfs -o ro none /dev/shm && exec {sys.executable} -c "$SCRIPT" {tmp_path}'
    ended = unshared(code, ROOT, SCRIPT=SCRIPT)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, len(DESIGN.recipes)), ended.stderr
