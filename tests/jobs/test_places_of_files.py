"""Two real nodes that see other files of one zoo: every model is opened and analysed where its file is."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.nodes import Nodes
from tests.jobs.test_cluster import scan, start, tables
from tests.jobs.zoos import make_zoo
from tests.loopback import Loopback, Repo
from tests.namespaces import mounts
from tests.zoo.fetch import models
from zoospectra.jobs.main import main

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    mounts,
]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small files, and a model that several tasks read."""
    zoo = make_zoo(tmp_path_factory.mktemp("zoo") / "zoo", models=8, width=128)
    generator = torch.Generator().manual_seed(7)
    wide = {f"fc{n}.weight": torch.randn(2600, 2200, generator=generator) for n in range(3)}
    save_file(wide, zoo / "wide.safetensors")
    return zoo


def halves(zoo: Path, folder: Path) -> tuple[Path, Path]:
    """Two folders with every other file of a zoo."""
    made = folder / "even", folder / "odd"
    for number, file in enumerate(sorted(zoo.glob("*.safetensors"))):
        made[number % 2].mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, made[number % 2])
    return made


@pytest.fixture
def nodes(zoo: Path, tmp_path: Path) -> Iterator[Nodes]:
    """A head that sees one half, a node that sees the other."""
    even, odd = halves(zoo, tmp_path)
    opened = Nodes(shows={zoo: even})
    opened.join(shows={zoo: odd})
    opened.await_all(2)
    yield opened
    opened.close()


def test_models_are_read_where_their_files_are(nodes: Nodes, zoo: Path, tmp_path: Path) -> None:
    whole, data = tmp_path / "whole", tmp_path / "data"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={whole}"]) == 0
    ended = scan(nodes, zoo, data, "attempts=1")  # what goes to the wrong node is a row
    _, error = ended.communicate(timeout=250)
    print(error)
    assert ended.returncode == 0, error
    assert error.count("files of this run: it works on these") == 2
    assert tables(data) == tables(whole)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Six models of many small layers and of some large ones."""
    with Loopback() as server:
        config = b'{"model_type": "gpt2"}'
        for number in range(6):
            tensors = {key: (1 + number) * values for key, values in models.gpt2(128).items()}
            files = {"config.json": config, "model.safetensors": models.safetensors(tensors)}
            server.content.repos.append(Repo(f"a/m{number}", files))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_what_a_node_has_fetched_is_analysed_there(hub: Loopback, tmp_path: Path) -> None:
    """Each node has a cache of its own: bytes that travel twice went to a node that did not have them."""
    data, caches = tmp_path / "data", [tmp_path / "cache0", tmp_path / "cache1"]
    for folder in (data / "cache", *caches):
        folder.mkdir(parents=True)
    nodes = Nodes(shows={data / "cache": caches[0]})
    try:
        nodes.join(shows={data / "cache": caches[1]})
        nodes.await_all(2)
        ids = ",".join(repo.id for repo in hub.content.repos)
        words = ["zoo=huggingface", f"zoo.ids={ids}", "fetch.rate=1000", "shard_seconds=0.05", "attempts=1"]
        ended = start(nodes, data, *words)
        _, error = ended.communicate(timeout=250)
        assert ended.returncode == 0, error
    finally:
        nodes.close()
    weights = [seen for seen in hub.requests("resolve") if seen.path.endswith(".safetensors")]
    assert max(Counter((seen.path, seen.range) for seen in weights).values()) == 1
    kept = [sum(1 for file in folder.glob("*/ranges/*/*")) for folder in caches]
    assert min(kept) > 0, "both nodes have fetched"
    assert sum(kept) == 6 * 10, "layers"
