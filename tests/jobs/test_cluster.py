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

from tests.jobs.nodes import NAMESPACES, Nodes
from tests.jobs.zoos import make_zoo
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

pytestmark = [pytest.mark.ray, pytest.mark.skipif(not NAMESPACES, reason="needs the right to mount in a namespace")]


def tables(data: Path) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: [tuple(row.values()) for row in query(data, f"{sql} ORDER BY ALL").to_pylist()]
        for name, sql in TABLES.items()
    }


def scan(nodes: Nodes, zoo: Path, data: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    where = ["cluster=ray", f"cluster.address={nodes.address}", "cluster.deadline_floor=20", "shard_seconds=0.01"]
    command = [*MAIN, "scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", *where, *words]
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
    return make_zoo(tmp_path_factory.mktemp("zoo") / "zoo", models=6)


@pytest.fixture(scope="module")
def undisturbed(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    data = tmp_path_factory.mktemp("undisturbed")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}"]) == 0
    return tables(data)


def test_a_blind_node_is_named_and_gets_no_work(nodes: Nodes, zoo: Path, undisturbed: object, tmp_path: Path) -> None:
    blind = nodes.join(blind=zoo)
    await_nodes(nodes, 2)
    ended = scan(nodes, zoo, tmp_path)
    _, error = ended.communicate(timeout=200)
    assert ended.returncode == 0, error
    assert f"gets no work: it does not see {zoo}/net0.safetensors (No such file or directory)" in error
    assert tables(tmp_path) == undisturbed
    nodes.kill(blind)


@pytest.mark.slow
def test_without_the_token_a_line_says_what_to_set(nodes: Nodes, zoo: Path, tmp_path: Path) -> None:
    ended = scan(nodes, zoo, tmp_path, RAY_AUTH_TOKEN="0" * 64)
    _, error = ended.communicate(timeout=200)
    assert (ended.returncode, "Traceback" in error) == (1, False), error
    assert "give the cluster's token in RAY_AUTH_TOKEN" in error


@pytest.mark.slow
def test_the_guides_command_runs_with_labels_and_resources(nodes: Nodes, zoo: Path, tmp_path: Path) -> None:
    lines = [line for line in GUIDE.splitlines() if line.startswith("zoospectra scan")]
    assert len(lines) == 1
    words = lines[0].replace("HEAD:6379", nodes.address).replace("my_models", str(zoo)).split()[1:]
    ask = ["limit=1", f"warehouse.dir={tmp_path}/w"]

    def ended(*more: str) -> subprocess.CompletedProcess[str]:
        command = [*MAIN, *words, *ask, *more]
        return subprocess.run(command, check=False, env=nodes.environment, capture_output=True, text=True)

    nobody = ended("cluster.labels.pool=spectra", "cluster.resources.zoo_io=0.25")
    assert nobody.returncode == 1
    assert "no node of the cluster has CPUs and pool=spectra, zoo_io=0.25: start one" in nobody.stderr
    labelled = nodes.join("--labels=pool=spectra", '--resources={"zoo_io": 1}')
    await_nodes(nodes, 2)
    served = ended("cluster.labels.pool=spectra", "cluster.resources.zoo_io=0.25")
    assert served.returncode == 0, served.stderr
    nodes.kill(labelled)


def await_nodes(nodes: Nodes, count: int) -> None:
    """Until so many raylets run, and have had the time to announce themselves."""
    for _ in range(300):
        running = [p for node in nodes._started if node.poll() is None for p in nodes.processes(node)]
        names = [process.name() for process in running if process.is_running()]
        if sum(name == "raylet" for name in names) >= count:
            break
        time.sleep(0.2)
    time.sleep(5)


def harm(fault: str, nodes: Nodes, job: subprocess.Popen[str], zoo: Path, chance: random.Random) -> None:
    """One fault while a job runs."""
    workers = nodes.workers()
    if fault == "driver":
        job.kill()
    elif fault in ("worker", "hang") and workers:
        try:
            chance.choice(workers).send_signal(signal.SIGKILL if fault == "worker" else signal.SIGSTOP)
        except psutil.NoSuchProcess:
            return
    elif fault == "raylet":
        second = next(node for node in reversed(nodes._started[1:]) if node.poll() is None)
        nodes.kill(second)
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
    return subprocess.run(["unshare", "-m", "bash", "-c", code], check=False, capture_output=True).returncode


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_twenty_random_faults_leave_the_tables_of_an_undisturbed_run(
    nodes: Nodes, zoo: Path, undisturbed: object, tmp_path: Path
) -> None:
    chance = random.Random(int(os.environ.get("FAULT_SEED", "11")))
    nodes.join()
    await_nodes(nodes, 2)
    for group in range(5):
        data = tmp_path / f"w{group}"
        for _ in range(4):
            fault = chance.choice(FAULTS)
            if fault == "full":
                status = on_a_full_disk(zoo, data, chance.choice([60, 400, 2500]))
                print(group, fault, status)
                continue
            job = scan(nodes, zoo, data)
            time.sleep(chance.uniform(4, 14))
            harm(fault, nodes, job, zoo, chance)
            _, error = job.communicate(timeout=600)
            print(group, fault, job.returncode, error.strip().splitlines()[-1:])
            assert "Traceback" not in error, error
        last = scan(nodes, zoo, data)
        _, error = last.communicate(timeout=600)
        assert last.returncode == 0, error
        assert tables(data) == undisturbed
