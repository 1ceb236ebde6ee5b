"""Values of every SQL type in every format; as DuckDB writes them where the format has no such type."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from zoospectra.jobs.main import main
from zoospectra.warehouse.build import build

VALUES = {
    "INTERVAL '1 month 2 days 3 seconds'": "1 month 2 days 00:00:03",
    "[INTERVAL 1 HOUR]": "['01:00:00']",
    "{'a': 1, 'b': INTERVAL 1 DAY}": "{'a': 1, 'b': 1 day}",
    "'0101'::BIT": "0101",
    "123456789012345678901234567890123456789012::BIGNUM": "123456789012345678901234567890123456789012",
    "union_value(n := 1)": "1",
    "'\\xAA\\xFF'::BLOB": "aaff",
    "'infinity'::DATE": None,
    "'infinity'::TIMESTAMP": None,
    "'290000-01-01'::DATE": None,
    "now()": None,
    "uuid()": None,
    "170141183460469231731687303715884105727::HUGEINT": None,
    "'a'::ENUM('a', 'b')": "a",
    "MAP {'k': 1}": None,
    "'10:11:12+02'::TIMETZ": None,
    "'2026-01-01 00:00:00.123456789'::TIMESTAMP_NS": None,
    "'{\"a\": 1}'::JSON": '{"a": 1}',
    "[1.5, 2.5]::FLOAT[2]": "[1.5, 2.5]",
}
"""What CSV says, where DuckDB's text is known; None where only that it is carried."""


def test_every_type_in_every_format(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    build(tmp_path)
    sql = "SELECT " + ", ".join(f"{value} AS c{i}" for i, value in enumerate(VALUES)) + ", 1 AS c0"
    said = {}
    for name in ("table", "csv", "json", "parquet"):
        assert main(["sql", sql, f"warehouse.dir={tmp_path}", f"format={name}"]) == 0
        said[name] = capfdbinary.readouterr().out
    heads, row = csv.reader(io.StringIO(said["csv"].decode()))
    assert heads == [*(f"c{i}" for i in range(len(VALUES))), "c0_1"]
    for text, expected in zip(row, VALUES.values(), strict=False):
        assert text == expected or (expected is None and text)
    (record,) = json.loads(said["json"])
    assert (record["c0"], record["c3"]) == ("1 month 2 days 00:00:03", "0101")
    assert pyarrow.parquet.read_table(io.BytesIO(said["parquet"]))["c0"].to_pylist() == ["1 month 2 days 00:00:03"]
    assert b"MonthDayNano" not in said["table"]
