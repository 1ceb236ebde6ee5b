"""docs/cluster.md: its compose file is one, and its commands run on this machine as they stand there."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.jobs.nodes import RAY
from tests.jobs.test_cluster import MAIN
from tests.jobs.zoos import make_zoo
from zoospectra.warehouse.query import query

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "cluster.md").read_text()
COMPOSE = yaml.safe_load(GUIDE.partition("```yaml\n")[2].partition("```")[0])
SERVICES = COMPOSE["services"]
(SUBMIT,) = [words for words in GUIDE.split("`") if words.startswith("ray job submit --address")]
PROGRAMS = {"ray": RAY[:-1], "zoospectra": MAIN}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_compose_file_is_one() -> None:
    assert set(SERVICES) == {"head", "worker", "scan"}
    for service in SERVICES.values():
        assert service["image"]
        assert set(service["environment"]) == {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
        assert all(other in SERVICES for other in service.get("depends_on", []))
        assert [volume.split(":")[1] for volume in service["volumes"]] == ["/zoo", "/warehouse"]
        install = service["build"]["dockerfile_inline"].splitlines()
        assert [line.split()[0] for line in install] == ["FROM", "COPY", "RUN"]
        assert install[2] == "RUN pip install '/src[cluster]'"
    assert (ROOT / "pyproject.toml").is_file()


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in reversed(started):
        if process.poll() is None:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
        process.wait()


def start(command: str, *more: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A command of the guide."""
    program, *words = shlex.split(command)
    pipe = subprocess.PIPE if program != "ray" or "submit" in words else subprocess.DEVNULL
    return subprocess.Popen(
        [*PROGRAMS[program], *words, *more], env=environment, stdout=pipe, stderr=pipe, text=True, cwd="/"
    )


@pytest.fixture
def environment() -> dict[str, str]:
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **token, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": ""}


SMALL = ("--num-cpus=1", "--object-store-memory=100000000")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_compose_file_run(
    processes: list[subprocess.Popen[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    zoo, port = make_zoo(tmp_path / "zoo", models=2), free_port()

    def here(name: str) -> str:
        words = SERVICES[name]["command"].replace("head:6379", f"127.0.0.1:{port}").replace("6379", str(port))
        return words.replace("/zoo", str(zoo)).replace("/warehouse", str(tmp_path / "data"))

    folder = Path("/tmp", f"zs{port}")
    processes.append(
        start(here("head"), *SMALL, "--include-dashboard=false", f"--temp-dir={folder}", environment=environment)
    )
    for _ in range(600):
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    processes.append(start(here("worker"), *SMALL, environment=environment))
    ended = start(here("scan"), environment=environment)
    _, error = ended.communicate(timeout=300)
    assert ended.returncode == 0, error
    assert query(tmp_path / "data", "SELECT count(*) AS n FROM models").to_pylist() == [{"n": 2}]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_is_submitted(
    processes: list[subprocess.Popen[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("aiohttp_cors", reason="needs the extra cluster")
    zoo, (port, board) = make_zoo(tmp_path / "zoo", models=2), (free_port(), free_port())
    folder = Path("/tmp", f"zs{port}")
    head = f"ray start --head --port={port} --dashboard-port={board} --temp-dir={folder} --block"
    processes.append(start(head, *SMALL, environment=environment))
    command = SUBMIT.replace("HEAD:8265", f"127.0.0.1:{board}")
    command = command.replace("/zoo", str(zoo)).replace("/warehouse", str(tmp_path / "data"))
    for _ in range(60):  # the dashboard takes its time
        ended = start(command, environment=environment)
        output, error = ended.communicate(timeout=400)
        if ended.returncode == 0 or "Running entrypoint" in output + error:
            break
        time.sleep(3)
    assert ended.returncode == 0, output + error
    assert query(tmp_path / "data", "SELECT count(*) AS n FROM models").to_pylist() == [{"n": 2}]
    wrong = start(command, environment=environment | {"RAY_AUTH_TOKEN": "0" * 64})
    output, error = wrong.communicate(timeout=200)
    assert wrong.returncode != 0
    assert "authentication token is invalid" in output + error
    shutil.rmtree(folder, ignore_errors=True)
