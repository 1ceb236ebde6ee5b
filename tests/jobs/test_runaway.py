"""Queries of one step that heeds no interrupt and no memory limit: the command ends, in a line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from zoospectra.jobs.show.plain import plain
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query

STEPS = ["SELECT len(list_sort(range(300000000)))", "SELECT range(1000000000)"]
"""Each is a list that no limit of DuckDB's is asked about."""

ENDLESS = """import time
from zoospectra.jobs.work import runaway
runaway.GRACE = 0.1
with runaway.ended(None, 0.1):
    time.sleep(60)
"""


def sql(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "zoospectra", "sql", *words, f"warehouse.dir={folder}"]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_nothing_interrupts_ends_with_the_process(tmp_path: Path, step: str) -> None:
    build(tmp_path)
    words = sql(tmp_path, step, "memory_gb=0.2", "seconds=60")
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "needs more than memory_gb=0.2 in one step" in ended.stderr


@pytest.mark.slow
def test_a_step_beyond_its_time_ends_with_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDLESS], check=False, capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "ran longer than seconds=0.1 in one step" in ended.stderr


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    build(tmp_path)
    with pytest.raises(ValueError, match="no UTF-8"):
        query(tmp_path, "SELECT '\udcff'")


@pytest.mark.slow
def test_csv_on_a_terminal_is_text(tmp_path: Path) -> None:
    build(tmp_path)
    leader, terminal = pty.openpty()
    question = "SELECT chr(27) || '[31mred' || chr(8238) AS \"a\tb\", 1 AS n"
    with subprocess.Popen(sql(tmp_path, question, "format=csv"), stdout=terminal) as process:
        os.close(terminal)
        process.wait(60)
    shown = os.read(leader, 4096).decode()
    os.close(leader)
    assert shown.splitlines() == [r'"a\tb","n"', r'"\x1b[31mred\u202e","1"']


def test_letters_that_no_font_draws_are_shown() -> None:
    assert plain("a\u3164\u034f\ufe0f\U000e0100\u2800b") == r"a\u3164\u034f\ufe0f\U000e0100\u2800b"
    assert plain("e\u0301 \ud55c\uae00 \u6f22 \u0430") == "e\u0301 \ud55c\uae00 \u6f22 \u0430"
