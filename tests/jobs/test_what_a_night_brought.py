"""Nights: what is new, known, worse and gone; the exit status by what is new; the log; fits that read no weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.show.nights import write_page
from zoospectra.jobs.work.night import Night


class Scanned:
    """A zoo, its warehouse, and one scan after the other."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.zoo = make_zoo(folder / "zoo", models=2)
        self.warehouse = folder / "data"
        self.capsys = capsys

    def scan(self, *words: str, status: int = 0) -> str:
        self.capsys.readouterr()
        place = ["zoo=local", f"zoo.path={self.zoo}", f"warehouse.dir={self.warehouse}", "cluster=inline"]
        assert main(["scan", *place, *words]) == status
        return self.capsys.readouterr().out


def test_a_known_failure_is_no_alarm_and_a_new_one_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned = Scanned(tmp_path, capsys)
    whole = (scanned.zoo / "net0.safetensors").read_bytes()
    (scanned.zoo / "broken.safetensors").write_bytes(whole[:5000])
    log = tmp_path / "scan.log"
    assert "1 new failure: local/broken.safetensors" in scanned.scan("fail=new", f"log={log}", status=3)
    assert "1 known failure: local/broken.safetensors" in scanned.scan("fail=new", f"log={log}")
    assert "1 known failure" in scanned.scan(status=3)
    lines = log.read_text().splitlines()
    assert sum("1 new failure" in line for line in lines) == 1
    assert all(line[:4].isdigit() and "+00:00 scan: " in line for line in lines)
    (scanned.zoo / "worse.safetensors").write_bytes(whole[:4000])
    (scanned.zoo / "broken.safetensors").write_bytes(whole)
    answer = json.loads(scanned.scan("fail=new", "format=json", status=3))
    assert [failure["model_id"] for failure in answer["new_failures"]] == ["local/worse.safetensors"]
    assert [failure["model_id"] for failure in answer["mended"]] == ["local/broken.safetensors"]
    assert answer["known_failures"] == []
    assert Path(answer["page"]).read_text().count("local/worse.safetensors") == 2
    assert scanned.scan("fail=never")


def test_changed_worse_and_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned = Scanned(tmp_path, capsys)
    assert "2 new: local/net0.safetensors, local/net1.safetensors" in scanned.scan()
    (scanned.zoo / "net1.safetensors").unlink()
    catalog = scanned.zoo / "catalog.csv"
    rows = [line.replace(",10,", ",12,") for line in catalog.read_text().splitlines() if "net1" not in line]
    catalog.write_text("\n".join(rows) + "\n")
    out = scanned.scan()
    assert "1 gone: local/net1.safetensors" in out
    assert "1 worse: local/net0.safetensors: top1_error on toy 10 -> 12" in out
    assert "1 gone" not in scanned.scan("models=net0*")


def test_a_new_version_of_the_fit_reads_no_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned = Scanned(tmp_path, capsys)
    first = json.loads(scanned.scan("format=json"))["counts"]
    assert (first["analysed"], first["fitted"]) == (8, 0)
    for module in ("analysis.profile", "jobs.work.engine", "jobs.work.todo", "jobs.records.rows"):
        monkeypatch.setattr(f"zoospectra.{module}.FIT_VERSION", "999", raising=False)
    second = json.loads(scanned.scan("format=json"))["counts"]
    assert (second["analysed"], second["fitted"]) == (0, 8)


def test_names_are_text_on_the_page(tmp_path: Path) -> None:
    page = write_page(Night(("local/<script>\x1b\u202e",), (), (), (), (), (), ()), "r", tmp_path).read_text()
    assert "&lt;script&gt;\\x1b\\u202e" in page
    assert "<script>" not in page


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={tmp_path / 'data'}", f"log={tmp_path}/no/x.log"]
    assert main(words) == 2
    assert "expected a file that can be written" in capsys.readouterr().err
