"""Who may join a run on a cluster: the first node of one that had none, and who is turned away with a line."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.nodes import Nodes
from tests.jobs.test_cluster import scan, tables
from tests.jobs.zoos import make_zoo
from tests.namespaces import mounts
from zoospectra.analysis.profile import FIT_VERSION
from zoospectra.jobs.main import main

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    mounts,
]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("zoo") / "zoo", models=2)


@pytest.fixture(scope="module")
def undisturbed(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    data = tmp_path_factory.mktemp("undisturbed")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}"]) == 0
    return tables(data)


@pytest.fixture(scope="module")
def empty() -> Iterator[Nodes]:
    """A head without CPUs, as of a cluster that has scaled to none."""
    nodes = Nodes(cpus=0)
    yield nodes
    nodes.close()


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    _, error = run.communicate(timeout=500)
    assert "Traceback" not in error, error
    return run.returncode, error


def test_without_a_node_the_run_waits_and_says_for_what(
    empty: Nodes, zoo: Path, undisturbed: object, tmp_path: Path
) -> None:
    status, error = ended(scan(empty, zoo, tmp_path / "none", "cluster.wait_for_node=1", "cluster.labels.pool=spot"))
    assert status == 1
    assert "no node has CPUs and pool=spot yet: waiting 1 s for one" in error
    assert "no node of the cluster has CPUs and pool=spot: start one" in error
    run = scan(empty, zoo, tmp_path / "data", "cluster.wait_for_node=400")
    assert run.stderr is not None
    while "no node has CPUs yet: waiting 400 s for one" not in (line := run.stderr.readline()):
        assert line, "it did not wait"
    time.sleep(3)
    node = empty.join()
    status, error = ended(run)
    assert status == 0, error
    assert tables(tmp_path / "data") == undisturbed
    empty.kill(node)


@pytest.mark.parametrize(
    "environment",
    [{"RAY_AUTH_TOKEN": "0" * 64}, {"RAY_AUTH_TOKEN": ""}, {"RAY_AUTH_TOKEN": "", "RAY_AUTH_MODE": "disabled"}],
    ids=["wrong", "none", "off"],
)
def test_who_has_not_the_token_gets_a_line(
    empty: Nodes, zoo: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    status, error = ended(scan(empty, zoo, tmp_path, HOME=str(tmp_path), **environment))
    assert status == 1, error
    lines = [line for line in error.splitlines() if line.startswith("zoospectra")]
    assert len(lines) == 1, error
    assert "RAY_AUTH_TOKEN" in lines[0]


def test_nodes_without_the_package_or_with_another_version_are_named(
    empty: Nodes, zoo: Path, undisturbed: object, tmp_path: Path
) -> None:
    other = shutil.copytree(ROOT / "analysis", tmp_path / "analysis")
    profile = other / "profile.py"
    text = profile.read_text()
    assert f'FIT_VERSION = "{FIT_VERSION}"' in text
    profile.write_text(text.replace(f'FIT_VERSION = "{FIT_VERSION}"', 'FIT_VERSION = "98"'))
    nodes = [empty.join(shows={ROOT / "analysis": other})]
    empty.await_all(2)
    nodes.append(empty.join(shows={ROOT / "zoospectra": None}))
    empty.await_all(3)
    status, error = ended(scan(empty, zoo, tmp_path / "none"))
    assert status == 1
    assert f"gets no work: it runs other code, fits 98 instead of {FIT_VERSION}: install the same there" in error
    assert "gets no work: it cannot run zoospectra: " in error
    assert "no node of the cluster may work: all 2 were refused" in error
    nodes.append(empty.join())
    empty.await_all(4)
    status, error = ended(scan(empty, zoo, tmp_path / "data"))
    assert status == 0, error
    assert error.count("gets no work") == 2
    assert tables(tmp_path / "data") == undisturbed
    status, error = ended(scan(empty, zoo, tmp_path / "cuda", "cluster.device=cuda"))
    assert status == 1
    assert "cluster.device=cuda: no node of this cluster has a GPU; use cluster.device=cpu" in error
    for node in nodes:
        empty.kill(node)
