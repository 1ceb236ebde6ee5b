"""A real cluster of two nodes with a token: a blind node gets no work, twenty random faults leave the same tables."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.jobs.nodes import Nodes
from tests.jobs.zoos import make_zoo
from tests.namespaces import mounts, unshared
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

GUIDE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
MAIN = [sys.executable, "-c", "import sys; from zoospectra.jobs.main import main; sys.exit(main())"]
TABLES = {
    "models": "SELECT model_id, revision, series FROM models",
    "layers": "SELECT model_id, layer_id, longname, content_hash FROM layers",
    "metrics": "SELECT model_id, longname, profile, alpha, xmin, D, log_norm, status FROM layer_metrics",
    "spectra": "SELECT content_hash, slice_id, evals FROM spectra",
    "skipped": "SELECT model_id, tensor, reason FROM skipped",
}
FAULTS = ("driver", "worker", "raylet", "blind", "hang", "full", "worker", "driver")

pytestmark = [pytest.mark.ray, mounts]


def tables(data: Path) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: [tuple(row.values()) for row in query(data, f"{sql} ORDER BY ALL").to_pylist()]
        for name, sql in TABLES.items()
    }


def scan(nodes: Nodes, zoo: Path, data: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return start(nodes, data, "zoo=local", f"zoo.path={zoo}", "shard_seconds=0.01", *words, **environment)


def start(nodes: Nodes, data: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """A scan on a cluster."""
    where = ["cluster=ray", f"cluster.address={nodes.address}", "cluster.deadline_floor=20"]
    command = [*MAIN, "scan", f"warehouse.dir={data}", *where, *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=nodes.environment | environment, stdout=subprocess.DEVNULL, stderr=pipe, text=True
    )


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    opened = Nodes()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("zoo") / "zoo", models=6, width=256)


@pytest.fixture(scope="module")
def undisturbed(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    data = tmp_path_factory.mktemp("undisturbed")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}"]) == 0
    return tables(data)


def test_a_blind_node_is_named_and_gets_no_work(nodes: Nodes, zoo: Path, undisturbed: object, tmp_path: Path) -> None:
    blind = nodes.join(blind=zoo)
    nodes.await_all(2)
    ended = scan(nodes, zoo, tmp_path)
    _, error = ended.communicate(timeout=200)
    assert ended.returncode == 0, error
    assert f"gets no work: it does not see {zoo}/net0.safetensors (No such file or directory)" in error
    assert tables(tmp_path) == undisturbed
    nodes.kill(blind)


GOES_BLIND = """
import glob, subprocess, sys
from tests.jobs.test_cluster import size_of
from zoospectra.jobs.work.executors import Cluster, Task, node, open_executor
from zoospectra.jobs.work.schedule import run
address, zoo, process = sys.argv[1:]
files = sorted(glob.glob(zoo + "/*.safetensors"))
executor = open_executor(Cluster("ray", address=address), node.wanted(files))
print("slots", executor.slots)
subprocess.run(["nsenter", "-t", process, "-m", "mount", "-t", "tmpfs", "none", zoo], check=True)
run([Task(f"{n} {f}", size_of, f) for n in range(4) for f in files], executor,
    lambda outcome: print("task", outcome.task.attempt, outcome.value, outcome.reason) or [])
executor.close()
"""


def size_of(path: str) -> int:
    time.sleep(0.3)
    return len(Path(path).read_bytes())


@pytest.mark.slow
def test_what_a_node_can_no_longer_reach_is_read_on_another(nodes: Nodes, zoo: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    node = nodes.join(blind=empty)  # in a namespace of its own, but it sees the zoo
    nodes.await_all(2)
    environment = nodes.environment | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", GOES_BLIND, nodes.address, str(zoo), str(node.pid)]
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    lines = [line.split()[1:] for line in ended.stdout.splitlines() if line.startswith("task")]
    sizes = sorted(str(file.stat().st_size) for file in zoo.glob("*.safetensors")) * 4
    assert sorted(size for _, size, _ in lines) == sorted(sizes), ended.stderr[-2000:]
    assert {reason for _, _, reason in lines} == {"None"}
    assert "2" in {attempt for attempt, _, _ in lines}, ended.stdout
    nodes.kill(node)


@pytest.mark.slow
def test_without_the_token_a_line_says_what_to_set(nodes: Nodes, zoo: Path, tmp_path: Path) -> None:
    ended = scan(nodes, zoo, tmp_path, RAY_AUTH_TOKEN="0" * 64)
    _, error = ended.communicate(timeout=200)
    assert (ended.returncode, "Traceback" in error) == (1, False), error
    assert "give the cluster's token in RAY_AUTH_TOKEN" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_the_guides_command_runs_with_labels_and_resources(nodes: Nodes, zoo: Path, tmp_path: Path) -> None:
    lines = [line for line in GUIDE.splitlines() if line.startswith("zoospectra scan")]
    assert len(lines) == 1
    words = lines[0].replace("HEAD:6379", nodes.address).replace("my_models", str(zoo)).split()[1:]
    ask = ["limit=1", f"warehouse.dir={tmp_path}/w"]

    def ended(*more: str) -> subprocess.CompletedProcess[str]:
        command = [*MAIN, *words, *ask, *more]
        return subprocess.run(command, check=False, env=nodes.environment, capture_output=True, text=True)

    nobody = ended("cluster.labels.pool=spectra", "cluster.resources.zoo_io=0.25", "cluster.wait_for_node=0")
    assert nobody.returncode == 1
    assert "no node of the cluster has CPUs and pool=spectra, zoo_io=0.25: start one" in nobody.stderr
    labelled = nodes.join("--labels=pool=spectra", '--resources={"zoo_io": 1}')
    nodes.await_all(2)
    served = ended("cluster.labels.pool=spectra", "cluster.resources.zoo_io=0.25")
    assert served.returncode == 0, served.stderr
    nodes.kill(labelled)


def await_work(data: Path, job: subprocess.Popen[str], count: int) -> None:
    """Until a job has kept so many more files, or has ended."""
    before = len(list(data.glob("parts/**/*.parquet")))
    while job.poll() is None and len(list(data.glob("parts/**/*.parquet"))) < before + count:
        time.sleep(0.02)


def harm(fault: str, nodes: Nodes, job: subprocess.Popen[str], zoo: Path, chance: random.Random) -> None:
    """One fault while a job runs."""
    workers = nodes.workers()
    while fault in ("worker", "hang") and not workers and job.poll() is None:
        workers = nodes.workers()
    if fault == "driver":
        job.kill()
    elif fault in ("worker", "hang") and workers:
        try:
            chance.choice(workers).send_signal(signal.SIGKILL if fault == "worker" else signal.SIGSTOP)
        except psutil.NoSuchProcess:
            return
    elif fault == "raylet":
        for node in [node for node in nodes._started[1:] if node.poll() is None][-1:]:
            nodes.kill(node)
        nodes.join()
    elif fault == "blind":
        nodes.join(blind=zoo)


def on_a_full_disk(zoo: Path, data: Path, kilobytes: int) -> int:
    """A scan of a warehouse that was moved to a disk with so much room, and moved back afterwards."""
    full = data.with_name(f"{data.name}-full")
    full.mkdir(exist_ok=True)
    data.mkdir(exist_ok=True)
    words = f"scan zoo=local zoo.path={zoo} cluster=inline warehouse.dir={full}"
    copy = f"mount -t tmpfs -o size={kilobytes}k none {full} && cp -a {data}/. {full}/"
    code = f"{copy}; {sys.executable} -c '{MAIN[2]}' {words}; status=$?; cp -a {full}/. {data}/; exit $status"
    return unshared(code).returncode


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_twenty_random_faults_leave_the_tables_of_an_undisturbed_run(
    nodes: Nodes, zoo: Path, undisturbed: object, tmp_path: Path
) -> None:
    chance = random.Random(int(os.environ.get("FAULT_SEED", "11")))
    nodes.join()
    nodes.await_all(2)
    for number in range(20):
        data, fault = tmp_path / f"w{number}", chance.choice(FAULTS)
        if fault == "full":
            status = on_a_full_disk(zoo, data, chance.choice([60, 400, 2500]))
        else:
            job = scan(nodes, zoo, data)
            await_work(data, job, chance.randint(1, 6))
            harm(fault, nodes, job, zoo, chance)
            _, error = job.communicate(timeout=600)
            status = job.returncode
            assert "Traceback" not in error, error
        last = scan(nodes, zoo, data)
        _, error = last.communicate(timeout=600)
        assert last.returncode == 0, error
        assert tables(data) == undisturbed
        print(number, fault, status, "same tables", flush=True)
