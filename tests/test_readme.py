"""The README's words are true: its commands run, its Python runs, its two first commands are what CI runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.jobs.zoos import make_zoo
from tests.loopback import Loopback, Repo
from tests.zoo.fetch.models import gpt2, safetensors
from zoospectra.analysis import methods
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Spectrum
from zoospectra.jobs.main import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def test_ci_runs_the_two_commands_word_for_word() -> None:
    setup = [command for command in COMMANDS if command.startswith("python -m pip")]
    assert len(setup) == 2
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert all(command in script for command in setup)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    make_zoo(folder / "my_models", models=4)
    return folder


@pytest.mark.ray
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("zoospectra")])
def test_every_command_runs(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    with Loopback() as hub:
        hub.content.repos = [
            Repo("openai-community/gpt2", {"config.json": b"{}", "model.safetensors": safetensors(gpt2())})
        ]
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("ZOOSPECTRA_FETCH", raising=False)
        assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("text", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_python_runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = dict(methods.METHODS)
    try:
        exec(compile(text, "README.md", "exec"), {})
        new = {name: method for name, method in methods.METHODS.items() if name not in known}
        for name, method in new.items():
            spectrum = Spectrum(np.array([[1.0, 2.0, 6.0]]), 3, 3, "gram", "cpu")
            row = analyse_layer(spectrum, "dense", Profile(name="x", methods=(name,))).layer
            assert row[method.columns[0].name] == 3.0
        assert new or float(capsys.readouterr().out) > 1
    finally:
        methods.METHODS.clear()
        methods.METHODS.update(known)
