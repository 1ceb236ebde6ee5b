"""Wrong usage: one clear line on stderr, exit status 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("misuse")
    zoo = make_zoo(folder / "zoo", models=1)
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]) == 0
    return folder / "data"


def said(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 2) -> str:
    capsys.readouterr()
    assert main(words) == status
    captured = capsys.readouterr()
    verb = words[1] if words[0] == "help" else words[0]
    assert captured.err.startswith(f"zoospectra {verb}: ")
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["scn"], "expected one of scan"),
        (["scan", "zoo=digit"], "did you mean 'digits'"),
        (["scan", "zoo=local", "zoo.pth=/x"], "did you mean 'zoo.path'"),
        (["scan", "zoo.path=/x"], "another zoo=NAME may have it"),
        (["describe", "m.pt", "profles=weightwatcher"], "did you mean 'profiles'"),
        (["sql", "SELECT 1 a", "fromat=csv"], "did you mean 'format'"),
        (["compare", "a", "b", "format=tabel"], "expected one of table"),
        (["dictionary", "warehouse.kep=2"], "did you mean 'warehouse.keep'"),
        (["describe", "m.pt", "profiles="], "no such file"),
        (["scan", "warehouse.keep=0"], "warehouse.keep=0: expected at least 1"),
        (["scan", "attempts=0"], "attempts=0: expected at least 1"),
        (["scan", "shard_seconds=-1"], "shard_seconds=-1: expected more than 0"),
        (["refit", "cluster.executor=nope"], "cluster.executor=nope: expected one of inline, ray"),
        (["catalog", "fetch.cache_gb=0"], "fetch.cache_gb=0"),
        (["scan", "profiles=weightwacher"], "did you mean 'weightwatcher'"),
        (["scan", "profiles=[]"], "at least one name"),
        (["scan", "zoo=local"], "zoo.path=DIR"),
        (["scan", "zoo=local", "zoo.path=/no/such/folder"], "/no/such/folder"),
        (["scan", "limit=abc"], "Integer"),
        (["catalog", "zoo=lokal"], "did you mean 'local'"),
        (["describe"], "expected PATH, got nothing"),
        (["describe", "/no/such/file"], "no such file"),
        (["sql", "SELECT 1", "format=xml"], "expected one of table, csv, json, parquet"),
        (["sql", "SELECT", "1"], 'expected ["SELECT ..."], got 2 words'),
        (["sql", "SELECT 1", "warehouse.dir=/no/such/folder"], "run 'zoospectra scan"),
        (["sql", "SELECT 1", "warehouse.dir=/etc/hostname"], "warehouse.dir=/etc/hostname: expected a folder"),
        (["sql", "warehouse.dir=/no/such/folder"], "no warehouse at"),
        (["scan", "cluster.cpus=0"], "cluster.cpus=0: expected at least 1"),
        (["scan", "cluster.wait_for_node=-1"], "cluster.wait_for_node=-1: expected 0 or more seconds"),
        (["scan", "cluster.resources.zoo_io=nan"], "cluster.resources.zoo_io=nan: expected a finite number"),
        (["scan", "cluster.resources.GPU=1"], "cluster.resources.GPU: expected the name of a custom resource"),
        (["scan", "cluster.labels.pool='in(a'"], "cluster.labels.pool=in(a: expected a value of at most 63"),
        (["check", "what=warehouse", "warehouse.dir=/no/such/folder"], "no warehouse at"),
        (["scan", "-m", "limit=interval(1,2)"], "expected values to run with"),
        (["help", "scan", "zoo=digit"], "did you mean 'digits'"),
    ],
)
def test_one_line(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in said(words, capsys)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELEKT 1", "syntax error"),
        ("SELECT alhpa FROM layer_metrics", "alpha"),
        ("SELECT * FROM layer_metric", "layer_metrics"),
        ("DROP TABLE models", "read-only"),
        ("INSERT INTO runs SELECT * FROM runs", "read-only"),
        ("COPY models TO '/tmp/x.csv'", "read-only"),
        ("SELECT 1; SELECT 2", "one SQL statement"),
        ("SELECT * FROM read_csv('/etc/passwd')", "cannot access file"),
    ],
)
def test_sql(data: Path, query: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected.lower() in said(["sql", query, f"warehouse.dir={data}"], capsys).lower()


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "an empty folder" in said(["check", str(tmp_path)], capsys)
    line = said(["scan", "zoo=local", f"zoo.path={tmp_path}", f"warehouse.dir={tmp_path / 'data'}"], capsys)
    assert str(tmp_path) in line


def test_globs_that_match_nothing_name_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    line = said(["scan", "zoo=local", f"zoo.path={zoo}", "models=vgg*", f"warehouse.dir={tmp_path / 'data'}"], capsys)
    assert "net0" in line


def test_a_malformed_catalog_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    with (zoo / "catalog.csv").open("a") as file:
        file.write("net0.safetensors,even,toy,top1_error,twelve,false,test,MIT,\n")
    line = said(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}"], capsys)
    assert "catalog.csv" in line
    assert "3" in line
    assert "twelve" in line


def test_describe_of_what_is_not_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "notes.safetensors"
    file.write_text("hello")
    assert "notes.safetensors" in said(["describe", str(file)], capsys)


@pytest.mark.parametrize("cluster", ["inline", pytest.param("local", marks=[pytest.mark.ray, pytest.mark.slow])])
def test_a_gpu_that_is_not_there(tmp_path: Path, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    zoo = make_zoo(tmp_path / "zoo", models=1)
    words = [
        "zoo=local",
        f"zoo.path={zoo}",
        f"cluster={cluster}",
        "cluster.device=cuda",
        f"warehouse.dir={tmp_path}/data",
    ]
    assert "cluster.device=cuda" in said(["scan", *words], capsys, status=1)


def test_a_bug_of_ours_is_no_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a value of ours")

    monkeypatch.setattr("zoospectra.warehouse.build.refresh", broken)
    zoo = make_zoo(tmp_path / "zoo", models=1)
    with pytest.raises(ValueError, match="a value of ours"):  # Python's own status of an exception is 1
        main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}", "cluster=inline"])


def test_no_work_is_done_before_the_words_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    for word in ("attempts=0", "shard_seconds=-1", "warehouse.keep=0", "cluster.executor=nope", "fit.engine=nope"):
        words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}", word]
        assert said(words, capsys).startswith(f"zoospectra scan: {word.partition('=')[0]}=")
    assert not (tmp_path / "data").exists()
