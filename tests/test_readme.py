"""README and the pages of users are true: commands run, Python runs, and CI runs the two commands of the README."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.door.test_hostile_folder import FIRST
from tests.jobs.zoos import make_zoo
from tests.loopback import Loopback, Repo
from tests.zoo.fetch.models import gpt2, safetensors
from zoospectra.jobs.main import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in ("usage.md", "index.md", "check.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
CONSOLE = [line for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
COMMANDS = list(dict.fromkeys(CONSOLE))
"""Each once, in this order: a later one may need what an earlier one made."""


def test_ci_runs_the_two_commands_word_for_word() -> None:
    setup = [command for command in COMMANDS if command.startswith("python -m pip")]
    assert len(setup) == 2
    assert FIRST in COMMANDS
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert all(command in script for command in setup)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    make_zoo(folder / "my_models", models=4)
    return folder


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("zoospectra")])
def test_every_command_runs(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.startswith("zoospectra report"):
        pytest.importorskip("vl_convert", reason="pip install 'zoospectra[figures]'")
    monkeypatch.chdir(folder)
    with Loopback() as hub:
        hub.content.repos = [
            Repo("openai-community/gpt2", {"config.json": b"{}", "model.safetensors": safetensors(gpt2())})
        ]
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("ZOOSPECTRA_FETCH", raising=False)
        words = shlex.split(command)[1:]
        if words[0] in {"scan", "refit"} and "cluster=inline" not in words:
            words.append("cluster=inline")  # FIRST runs on Ray in test_hostile_folder.py, `zoospectra scan` in .ci/run
        assert main(words) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", [text for text in blocks("python") if "import zoospectra" in text])
def test_the_python_runs(
    text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(text, "usage.md", "exec"), {})
    assert float(capsys.readouterr().out) > 1


VERBS = """
import sys
from zoospectra.jobs.main import main
for line in sys.stdin.read().splitlines():
    print(">", line, flush=True)
    assert main([*line.split(), "--config-dir", "my_conf"]) == 0, line
"""


def test_a_profile_a_metric_and_a_study_of_ones_own(tmp_path: Path) -> None:
    """The guide's package, as if installed, and its profile, in every verb."""
    make_zoo(tmp_path / "my_models", models=2)
    (tmp_path / "my_conf" / "profile").mkdir(parents=True)
    (tmp_path / "my_conf" / "profile" / "mine.yaml").write_text(*blocks("yaml"))
    package = tmp_path / "package"
    info = package / "mine-1.0.dist-info"
    info.mkdir(parents=True)
    (package / "mine.py").write_text(next(text for text in blocks("python") if "GAP =" in text))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (registered,) = blocks("toml")
    groups = tomllib.loads(registered)["project"]["entry-points"]
    entries = [f"[{group}]\n{name} = {value}" for group, names in groups.items() for name, value in names.items()]
    (info / "entry_points.txt").write_text("\n".join(entries))
    nets = "my_models/net0.safetensors my_models/net1.safetensors"
    lines = [
        "scan zoo=local zoo.path=my_models cluster=inline",
        "scan zoo=local zoo.path=my_models cluster=inline profiles=mine",
        "refit profiles=mine cluster=inline",
        "describe my_models/net0.safetensors profiles=mine",
        f"compare {nets} profiles=mine",
        "catalog zoo=local zoo.path=my_models",
        "dictionary layer_metrics format=csv",
        "study study=gaps study.least=1",
        "sql FROM/**/study_results format=csv",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(package)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", VERBS],
        input="\n".join(lines),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *_, dictionary, study, results = done.stdout.split("\n> ")
    assert "largest eigenvalue over the second largest" in dictionary
    assert "2 cells" in study
    assert results.count('"gaps","gaps"') == 2
