"""Hydra used for what it does: a primary file of one's own, a name, an experiment, several runs; kept in `runs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs.scan import ScanSettings
from zoospectra.jobs.words.command import Configuration, MisuseError, sort_words
from zoospectra.warehouse.query import query

DEFAULTS = "defaults:\n  - zoo: digits\n  - cluster: inline\n  - warehouse: default\n  - fetch: default\n  - _self_\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "scan.yaml").write_text(f"{DEFAULTS}limit: 7\n")
    (tmp_path / "weekly.yaml").write_text(f"{DEFAULTS}limit: 9\n")
    (tmp_path / "experiment" / "few.yaml").write_text("# @package _global_\nlimit: 5\nprofiles: [corrected]\n")
    return tmp_path


def compose(folder: Path, *words: str) -> ScanSettings:
    line = sort_words(["--config-dir", str(folder), *words], ())
    return Configuration(line.folders, line.name).settings("scan", ScanSettings, line.overrides)


def test_a_primary_file_of_ones_own_counts(folder: Path) -> None:
    assert (compose(folder).limit, compose(folder).cluster.executor) == (7, "inline")
    assert compose(folder, "--config-name", "weekly").limit == 9
    assert compose(folder, "--config-name=weekly", "limit=2").limit == 2
    few = compose(folder, "+experiment=few", "attempts=3")
    assert (few.limit, few.profiles, few.attempts) == (5, ["corrected"], 3)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--config-name", "wekly"], "did you mean 'weekly'"),
        (["+experiment=fw"], "did you mean 'few'"),
        (["+experimnt=few"], "unknown key '+experimnt'"),
    ],
)
def test_what_is_not_there_is_said(words: list[str], hint: str, folder: Path) -> None:
    with pytest.raises(MisuseError) as caught:
        compose(folder, *words)
    assert hint in str(caught.value)


def test_several_runs_leave_their_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=2)
    words = ["zoo=local", f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}", "cluster=inline"]
    assert main(["scan", "-m", *words, "profiles=weightwatcher,corrected"]) == 0
    configs = query(tmp_path / "data", "SELECT config FROM runs ORDER BY started")["config"].to_pylist()
    assert [json.loads(config)["profiles"] for config in configs] == [["weightwatcher"], ["corrected"]]
    capsys.readouterr()
    assert main(["sql", "-m", "SELECT 1", "format=csv,json"]) == 2
    assert "expected with scan or study" in capsys.readouterr().err
