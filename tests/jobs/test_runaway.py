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

STEPS = {
    "SELECT damerau_levenshtein(repeat('a', 30000), repeat('b', 30000))": "ran longer than seconds=1",
    "SELECT len(list_sort(range(300000000)))": "needs more than memory_gb=0.2",
    "SELECT range(1000000000)": "needs more than memory_gb=0.2",
}


def sql(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "zoospectra", "sql", *words, f"warehouse.dir={folder}"]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_nothing_interrupts_ends_with_the_process(tmp_path: Path, step: str) -> None:
    build(tmp_path)
    limits = ("memory_gb=0.2", "seconds=60") if "memory" in STEPS[step] else ("memory_gb=16", "seconds=1")
    ended = subprocess.run(sql(tmp_path, step, *limits), check=False, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert STEPS[step] in ended.stderr


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
