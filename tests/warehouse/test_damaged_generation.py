"""A generation whose file is damaged: a line for who reads it, and built anew from the parts by who builds."""

from __future__ import annotations

import pytest

from zoospectra.warehouse.build import renew
from zoospectra.warehouse.connect import newest
from zoospectra.warehouse.query import query

ROWS = "SELECT model_id, content_hash FROM layers_history ORDER BY ALL"


@pytest.mark.parametrize("kept", [5000, 100_000, 0], ids=["header", "middle", "empty"])
def test_the_newest_generation(published, kept: int) -> None:
    before = query(published.directory, ROWS)
    assert len(before) == 4
    path = newest(published.directory)
    path.write_bytes((b"garbage" + path.read_bytes()[7:])[:kept])
    with pytest.raises(ValueError, match="is damaged"):
        query(published.directory, ROWS)
    renew(published.directory)
    assert query(published.directory, ROWS).equals(before)
