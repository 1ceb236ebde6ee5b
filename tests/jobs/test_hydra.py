"""Hydra used for what it does: a primary file of one's own, a name, an experiment, several runs; kept in `runs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs.scan import ScanSettings
from zoospectra.jobs.verbs.study import StudySettings
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.line import MisuseError, sort_words
from zoospectra.jobs.words.multirun import sweep
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


def test_a_primary_file_without_a_defaults_list_stands_over_ours(folder: Path) -> None:
    (folder / "scan.yaml").write_text("limit: 7\n")
    plain = compose(folder)
    assert (plain.limit, plain.zoo.name, plain.cluster.executor) == (7, "digits", "ray")
    chosen = compose(folder, "zoo=local", "zoo.path=x", "cluster=inline", "++limit=2")
    assert (chosen.limit, chosen.zoo.name, chosen.cluster.executor) == (2, "local", "inline")
    (folder / "scan.yaml").write_text("zoo:\n  source: local\n  path: y\nlimit: 3\n")
    inside = compose(folder, "+experiment=few")
    assert (inside.limit, inside.zoo.name, inside.zoo.source, inside.zoo.options.path) == (5, "local", "local", "y")
    (folder / "scan.yaml").write_text("defaults:\n  - zoo: timm\n  - _self_\nlimit: 4\n")
    part = compose(folder, "cluster=inline")
    assert (part.limit, part.zoo.name, part.cluster.executor) == (4, "timm", "inline")


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("limt: 3\n", [], "unknown key 'limt' (did you mean 'limit'?)"),
        ("limit: [\n", [], "scan.yaml"),
        ("- a\n", [], "must be a DictConfig"),
        ("limit: many\n", [], "limit: Value 'many'"),
        ("hydra:\n  sweeper: {}\n", [], "'hydra' has no meaning here"),
        ("defaults:\n  - zoo: nope\n  - _self_\n", [], "Could not find 'zoo/nope'"),
        ("zoo:\n  path: x\n", [], "unknown key 'zoo.path'"),
        ("zoo:\n  source: local\n  path: x\n", ["zoo=digits"], "unknown key 'zoo.path'"),
        ("limit: 1\n", ["+experiment=nopackage"], "# @package _global_"),
        ("limit: 1\n", ["~limit"], "cannot read '~limit'"),
        ("limit: 1\n", ["hydra.verbose=true"], "cannot read 'hydra.verbose=true'"),
        ("limit: 1\n", ["hydra/launcher=joblib"], "cannot read 'hydra/launcher=joblib'"),
        ("limit: 1\n", ["zoo@there=local"], "cannot read 'zoo@there=local'"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(text: str, words: list[str], hint: str, folder: Path) -> None:
    (folder / "scan.yaml").write_text(text)
    (folder / "experiment" / "nopackage.yaml").write_text("limit: 5\n")
    with pytest.raises(MisuseError) as caught:
        compose(folder, *words)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_values_that_are_printed_are_checked_too(folder: Path) -> None:
    (folder / "scan.yaml").write_text("limt: 3\n")
    with pytest.raises(MisuseError, match="unknown key 'limt'"):
        Configuration((str(folder),)).text("scan", ScanSettings, (), ())


SWEEPS = [
    ["limit=1,2", "attempts=3"],
    ["limit=range(1,4)", "profiles=weightwatcher,corrected"],
    ["profiles=choice(weightwatcher,[weightwatcher,corrected])", "zoo=local"],
    ["cluster=glob(*,exclude=ray)", "shard_seconds=0.5,1"],
    ["study=glob(s*)"],
    ["limit=sort(3,1,2)", "limit=5,4"],
    ["models='a,b'", "models=[a,b]", 'zoo.path="x,y",z'],
    ["+experiment=few,many"],
    ["limit=shuffle(range(1,2))"],
]


@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_a_line_of_several_runs_is_expanded_as_hydra_does(words: list[str]) -> None:
    """Oracle: BasicSweeper, which `-m` of a program of Hydra's own uses."""
    schema = StudySettings if words[0].startswith("study") else ScanSettings
    runs = sweep(["-m", *words], schema)
    with Configuration().hydra():  # which has the names of sources and studies from above
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        (expected,) = BasicSweeper.split_arguments(parser.parse_overrides(words), None)
        found = [
            [f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in parser.parse_overrides(run)]
            for run in runs
        ]
    assert found == [list(run) for run in expected]


def test_words_that_hydra_cannot_read_are_not_expanded() -> None:
    words = ["zoo.path=/a (b)/c,d", "--config-dir", "x y", "--config-dir", "z", "-m", "limit=1,2"]
    with pytest.raises(MisuseError, match="--config-dir 'x y' is not a folder"):
        sweep(words, ScanSettings)
    runs = sweep([word for word in words if word not in ("--config-dir", "x y", "z")], ScanSettings)
    assert runs == [["zoo.path=/a (b)/c,d", f"limit={limit}"] for limit in (1, 2)]
    with pytest.raises(MisuseError, match=r"fetch.rate=interval\(1,5\): expected values to run with"):
        sweep(["--multirun", "fetch.rate=interval(1,5)"], ScanSettings)


def test_several_runs_leave_their_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=2)
    words = ["zoo=local", f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}", "cluster=inline"]
    assert main(["scan", "-m", *words, "profiles=weightwatcher,corrected"]) == 0
    configs = query(tmp_path / "data", "SELECT config FROM runs ORDER BY started")["config"].to_pylist()
    assert [json.loads(config)["profiles"] for config in configs] == [["weightwatcher"], ["corrected"]]
    capsys.readouterr()
    assert main(["sql", "-m", "SELECT 1", "format=csv,json"]) == 2
    assert "expected with scan or study" in capsys.readouterr().err
