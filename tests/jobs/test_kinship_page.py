"""docs/kinship.md: every command and query of the page runs, on a zoo with relatives."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.jobs.test_kin import net, noisy
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "kinship.md").read_text()
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seeds, a fine-tune, a copy and a merge, with an accuracy each."""
    folder = tmp_path_factory.mktemp("page")
    zoo = folder / "zoo"
    zoo.mkdir()
    nets = {f"net{seed}": net(seed) for seed in range(8)}
    nets |= {"tuned": noisy(net(0), 0.3), "copy": net(0)}
    nets["merged"] = {name: np.float32(0.6) * W + np.float32(0.4) * net(1)[name] for name, W in net(0).items()}
    lines = ["file,series,dataset,metric,value,higher_is_better,source,licence,note"]
    for number, (name, weights) in enumerate(nets.items()):
        save_file(weights, zoo / f"{name}.safetensors")
        lines.append(f"{name}.safetensors,net,toy,top1_error,{10 + number % 7},false,test,MIT,")
    (zoo / "catalog.csv").write_text("\n".join(lines) + "\n")
    words = ["zoo=local", f"zoo.path={zoo}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]
    assert main(["scan", *words]) == 0
    return folder


@pytest.mark.slow
def test_commands_and_queries_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        capsys.readouterr()
        assert main(shlex.split(command)[1:]) == 0, command
        assert capsys.readouterr().out.strip(), command
    for sql in QUERIES:
        assert query(Path("data"), sql.strip().removesuffix(";")).num_rows, sql
