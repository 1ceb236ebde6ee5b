"""Every table, view, macro and SELECT of a study against plain Python: all rows, all columns, in order."""

from __future__ import annotations

import ast

import pytest

from tests.warehouse import plain, plain_studies, plain_views
from tests.warehouse.world import Row, answer
from zoospectra.warehouse.definitions import definitions, names
from zoospectra.warehouse.studies import FOLDER


def test_every_statement_is_written_here_too() -> None:
    assert sorted(plain.TABLES) == sorted(names("tables"))
    assert sorted(plain_views.VIEWS) == sorted(names("views"))
    assert sorted({*plain_views.MACROS, "regress"}) == sorted(one.name for one in definitions() if one.tabular)
    files = [f"{kind.name}/{file.name}" for kind in FOLDER.iterdir() for file in kind.iterdir()]
    assert sorted(f"{select}.sql" for select in plain_studies.SELECTS) == sorted(files)


@pytest.mark.parametrize("table", plain.TABLES)
def test_tables(made, table: str) -> None:
    raw, connection = made
    plain.same(answer(connection, f"FROM {table}"), plain.TABLES[table](raw))


@pytest.mark.parametrize("view", plain_views.VIEWS)
def test_views(made, view: str) -> None:
    raw, connection = made
    mine, expected = answer(connection, f"FROM {view}"), plain_views.VIEWS[view](raw)
    if view == "doubles":
        assert mine == expected
    plain.same(sorted(mine, key=key), sorted(expected, key=key))


def key(row: Row) -> str:
    return str([f"{v:.9g}" if isinstance(v, float) else str(v) for _, v in sorted(row.items())])


@pytest.mark.parametrize("macro", plain_views.MACROS)
def test_macros(made, macro: str) -> None:
    raw, connection = made
    expected, calls = plain_views.MACROS[macro]
    some = 0
    for arguments in calls:
        mine = answer(
            connection, f"FROM {macro}({'not_after := ' * (macro == 'reported_newest' and bool(arguments))}{arguments})"
        )
        rows = expected(raw, *ast.literal_eval(f"({arguments},)" if arguments else "()"))
        plain.same(mine, rows, 1e-6 if macro in ("kin_layers", "nearest") else 1e-11)  # sketches are float32
        some += len(rows) > 1
    assert some > 0


@pytest.mark.parametrize("select", plain_studies.SELECTS)
def test_selects_of_studies(made, select: str) -> None:
    raw, connection = made
    expected, calls = plain_studies.SELECTS[select]
    for values in calls:
        mine = answer(connection, (FOLDER / f"{select}.sql").read_text(), **values)
        plain.same(mine, expected(raw, *values.values()))
        assert mine
