"""The data dictionary as a command: complete, and the same as the schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoospectra.jobs.main import main
from zoospectra.warehouse.build import build
from zoospectra.warehouse.definitions import of_kind
from zoospectra.warehouse.schema import PARTS, unit_and_comment


@pytest.fixture
def empty(tmp_path: Path) -> str:
    build(tmp_path)
    return f"warehouse.dir={tmp_path}"


def read(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    capsys.readouterr()
    assert main(["dictionary", *words, "format=json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_table_and_column_of_the_schema(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read([empty], capsys)
    assert {row["table"] for row in rows} == {definition.name for definition in of_kind("TABLE", "VIEW")}
    assert all(row["unit"] and row["comment"] and row["type"] for row in rows)
    for kind, table in (("layer_metrics", "layer_metrics"), ("runs", "runs"), ("study_results", "study_results")):
        said = {row["column"]: (row["unit"], row["comment"]) for row in rows if row["table"] == table}
        assert {name: said[name] for name in PARTS[kind].names} == {
            field.name: unit_and_comment(field) for field in PARTS[kind]
        }


def test_one_table(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert {row["table"] for row in read(["runs", empty], capsys)} == {"runs"}
    assert main(["dictionary", empty]) == 0
    assert "regress" in capsys.readouterr().out
    assert main(["dictionary", "layer_metric", empty]) == 2
    assert "expected one of" in capsys.readouterr().err
