"""Every query of docs/questions.md runs, and the answers that are known are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zoospectra.warehouse.query import query

PAGE = Path(__file__).resolve().parents[3] / "docs" / "questions.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
EMPTY = {9, 10, 11, 15, 17, 18, 20}
"""Questions without an answer in the planted warehouse: no shared bytes, no skips, one profile, no spectra, ..."""


def test_there_are_twenty() -> None:
    assert len(re.findall(r"^## \d+\. ", PAGE.read_text(), re.MULTILINE)) == 20
    assert len(QUERIES) == 21


@pytest.mark.parametrize("number", range(1, 22))
def test_it_runs(number: int, planted: Path) -> None:
    found = query(planted, QUERIES[number - 1])
    assert found.num_columns > 1
    assert (found.num_rows == 0) == (number in EMPTY)


def test_the_paradox_shows_in_sql(planted: Path) -> None:
    rows = {row["group"]: row for row in query(planted, QUERIES[3]).to_pylist()}
    assert rows["(all)"]["slope"] > 0
    assert all(rows[str(depth)]["slope"] < 0 for depth in (1, 2, 3, 4))
    best = query(planted, QUERIES[4]).to_pylist()
    assert best[0]["metric"] == "alpha"


def test_one_row_a_model_where_the_question_says_each_model(planted: Path) -> None:
    assert query(planted, QUERIES[13]).num_rows == 40
    assert query(planted, QUERIES[6]).num_rows == 8
    assert query(planted, QUERIES[7]).num_rows == 8
