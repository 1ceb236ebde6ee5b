"""check: what a target means, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("check") / "zoo", models=2)


def reports(target: object, *words: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> list[dict]:
    capsys.readouterr()
    assert main(["check", str(target), "format=json", *words]) == status
    return json.loads(capsys.readouterr().out)


def test_a_folder_is_its_checkpoints(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [Path(report["model"]).name for report in reports(zoo, "fail=never", capsys=capsys)]
    assert names == ["net0.safetensors", "net1.safetensors"]


def test_damage_is_a_finding_and_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"hello")
    (report,) = reports(file, capsys=capsys, status=3)
    (finding,) = report["findings"]
    assert (finding["severity"], finding["reason"]) == ("error", "unreadable")
    assert reports(file, "fail=never", capsys=capsys)
