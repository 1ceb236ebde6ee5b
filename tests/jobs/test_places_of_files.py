"""Two real nodes that see other files of one zoo: every model is opened and analysed where its file is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.nodes import NAMESPACES, Nodes
from tests.jobs.test_cluster import scan, tables
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(not NAMESPACES, reason="needs the right to mount in a namespace"),
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
