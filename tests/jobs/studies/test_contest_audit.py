"""The contest's printed tables against themselves: transcription, averages, words and signs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoospectra.analysis.studies.contest_audit import Options, run
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.verdict import printed_cells
from zoospectra.jobs.words.command import Configuration


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    return Configuration().group("published", "contest")


@pytest.fixture(scope="module")
def cells(printed: dict[str, Any]) -> dict[tuple[str, str, str], Cell]:
    return {(cell.table_id, cell.row, cell.column): cell for cell in run({}, Options(), printed).cells}


def test_the_transcription_is_that_of_the_reference(printed: dict[str, Any], shared: Path) -> None:
    mine = printed_cells(printed["tables"])
    with (shared / "reference" / "contest_tables.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["table"] != "4"]
    theirs = {}
    for row in rows:
        column = {"Kendall-tau": "tau"}.get(row["statistic"], row["statistic"])
        column += f" {row['metric']}" if row["table"] in "56" else ""
        theirs[f"C_T{row['table']}", f"{row['task']} / {row['subgroup']}", column] = row["value"]
    assert mine == theirs


def test_every_average_is_a_plain_mean(cells: dict[tuple[str, str, str], Cell]) -> None:
    averages = [cell for key, cell in cells.items() if key[0] == "C_AUDIT_AVG"]
    assert len(averages) == 2 * (2 + 3 + 6 + 6)
    assert {cell.verdict for cell in averages} == {"reproduces"}
    alpha = cells["C_AUDIT_AVG", "C_T5 / Task2 / AVG", "R2 Alpha"]
    assert (alpha.value, alpha.n, alpha.published) == (pytest.approx(np.mean([0.69, 0.62, 0.36, 0.64])), 4, 0.58)


def test_a_false_average_is_seen(printed: dict[str, Any]) -> None:
    table = printed["tables"]["C_T5"]
    rows = {**table["rows"], "Task1 / AVG": ["0.50", "0.61", "0.22", "0.07", "0.57", "-0.41"]}
    changed = printed | {"tables": {**printed["tables"], "C_T5": {**table, "rows": rows}}}
    (wrong,) = [cell for cell in run({}, Options(), changed).cells if cell.verdict == "differs"]
    assert (wrong.row, wrong.column) == ("C_T5 / Task1 / AVG", "R2 Alpha")


def test_words_by_the_rule_and_by_any(cells: dict[tuple[str, str, str], Cell]) -> None:
    """By hand: .636 is Modest and .25 Modest against the rule, and three |tau| below .1 are Weak."""
    other = {key[1] for key, cell in cells.items() if cell.verdict == "other than by the rule"}
    assert other == {
        "C_T1 / Task2 / 10xx",
        "C_T2 / Task1 / 5xx",
        "C_T2 / Task2 / 2xx",
        "C_T2 / Task2 / 6xx",
        "C_T2 / Task2 / 10xx",
    }
    assert cells["C_AUDIT_WORD", "RULE", "words as by the rule"].value == 15
    # Without None at all (never below a threshold) only the None, one .25 and one .636 are missed.
    assert cells["C_AUDIT_WORD", "RULE", "most words by any |tau|"].value == 17
    contradicted = {key[1]: cell.reason for key, cell in cells.items() if key[2] == "contradicted"}
    assert "C_T2 / Task1 / 2xx" in contradicted["C_T1 / Task2 / 10xx"]  # (.22, .54) Strong, (.273, .636) Modest


def test_signs_and_training(cells: dict[tuple[str, str, str], Cell]) -> None:
    signs = {key[1] for key, cell in cells.items() if cell.verdict == "sign differs from the text"}
    assert signs == {f"C_T2 / Task1 / {group}" for group in ("1xx", "2xx", "6xx", "7xx")}
    implied = cells["C_AUDIT_SIGN", "C_T5 / Task1 / 1xx / Alpha", "R2 implied by tau"]
    assert (implied.value, implied.published) == (pytest.approx(np.sin(np.pi * 0.48 / 2) ** 2), 0.88)
    assert cells["C_AUDIT_TRAIN", "Task1 / 0xx", "|tau| Alpha"].verdict == "Alpha follows best"
    assert cells["C_AUDIT_TRAIN", "Task1 / 2xx", "|tau| training error"].value == 0.54


def test_thresholds_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="weak < modest < strong"):
        Options(weak=0.4)
