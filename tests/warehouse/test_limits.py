"""A query's limits: time and memory end it in one line, and what fits answers as without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import Limits, query

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE hash(a.range + b.range) = 42"
SORT = "SELECT max(x) FROM (SELECT array_agg(range::VARCHAR || repeat('x', 200)) AS x FROM range(10000000))"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    build(folder)
    return folder


def test_a_query_that_takes_too_long_is_interrupted(built: Path) -> None:
    with pytest.raises(ValueError, match=r"longer than seconds=0\.5: ask for less, or raise seconds"):
        query(built, ENDLESS, limits=Limits(seconds=0.5))


def test_a_query_that_needs_too_much_is_refused(built: Path) -> None:
    with pytest.raises(ValueError, match=r"more than memory_gb=0\.1: ask for fewer rows"):
        query(built, SORT, limits=Limits(memory_gb=0.1))


def test_a_result_that_is_too_large_is_refused_before_it_is_whole(built: Path) -> None:
    with pytest.raises(ValueError, match=r"more than memory_gb=0\.02: ask for fewer rows"):
        query(built, "SELECT range FROM range(1000000000)", limits=Limits(memory_gb=0.02))


def test_what_fits_is_the_same(built: Path) -> None:
    sql = "SELECT range AS n, range * 2 AS twice FROM range(250000)"
    assert query(built, sql, limits=Limits(1.0, 60.0)) == query(built, sql)
    empty = query(built, "SELECT 1 AS a WHERE false", limits=Limits(1.0, 60.0))
    assert (empty.num_rows, empty.column_names) == (0, ["a"])
