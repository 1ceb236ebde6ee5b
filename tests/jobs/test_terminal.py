"""The first words of a new user: help, paths, mistakes, pipes, completion."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.show.prompt import completer
from zoospectra.jobs.verbs import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_key(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", verb]) == 0
    asked = capsys.readouterr().out
    assert main([verb, "-h"]) == 0
    assert capsys.readouterr().out == asked
    keys = asked.partition("keys, each with its default:\n")[2].splitlines()
    assert all(line.strip() != "-" and not line.endswith("  -") for line in keys), "a key without a meaning"
    assert max(map(len, keys), default=0) <= 120


def test_a_path_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    assert main([str(zoo / "net0.safetensors"), "fail=never"]) == 0
    captured = capsys.readouterr()
    assert "is a path: this is 'zoospectra check " in captured.err
    assert "net0.safetensors:" in re.sub(r"\s+", "", captured.out), "a long path is folded"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("zoo=local", "a verb comes first: zoospectra scan zoo=local"),
        ("./no/net.pt", "no such file"),
        ("chek", "check"),
    ],
)
def test_a_first_word_that_is_no_verb(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert hint in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -m zoospectra help scan | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: zoospectra scan")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "check" in script
    assert "warehouse.dir=" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        done = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
        assert done.stderr == ""
    if shell == "bash":
        asked = f"{script}\nCOMP_WORDS=(zoospectra ch); COMP_CWORD=1; _zoospectra; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.stdout.split() == ["check"]


def test_the_tab_key_completes_names() -> None:
    complete = completer(["alpha", "alpha_weighted", "models"])
    assert [complete("ALPHA", 0), complete("alpha", 1), complete("alpha", 2)] == ["alpha", "alpha_weighted", None]
