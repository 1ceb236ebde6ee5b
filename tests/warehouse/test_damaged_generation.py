"""A generation whose file is damaged: a line for who reads it, and built anew from the parts by who builds."""

from __future__ import annotations

import pytest

from zoospectra.warehouse.build import renew
from zoospectra.warehouse.connect import newest
from zoospectra.warehouse.query import query

ROWS = "SELECT model_id, content_hash FROM layers_history ORDER BY ALL"


@pytest.mark.parametrize("kept", [5000, 100_000, 0], ids=["header", "middle", "empty"])
def test_the_newest_generation(lake, kept: int) -> None:
    lake.catalog("one", [("z/a", "1")])
    lake.model("z/a", "1", ["h1", "h2"])
    lake.build()
    before = query(lake.directory, ROWS)
    assert len(before) == 2
    path = newest(lake.directory)
    path.write_bytes((b"garbage" + path.read_bytes()[7:])[:kept])
    with pytest.raises(ValueError, match="is damaged"):
        query(lake.directory, ROWS)
    renew(lake.directory)
    assert query(lake.directory, ROWS).equals(before)
