"""docs/formats.md has the table of schemes, and the table has every scheme that the code knows."""

from __future__ import annotations

from pathlib import Path

from zoospectra.zoo.layers.packed import SCHEMES
from zoospectra.zoo.layers.packed.refused import REFUSED
from zoospectra.zoo.layers.packed.table import READ, ROWS, markdown

DOCS = Path(__file__).resolve().parents[4] / "docs" / "formats.md"

READ_OTHERWISE = {"HQQ", "AQLM", "MXFP4 blocks", "quanto", "torchao"}
"""Schemes whose damaged or unknown forms are refused, and whose other forms are read."""


def test_the_document_has_the_table_of_the_code() -> None:
    text = DOCS.read_text()
    start, end = text.index("<!-- schemes -->\n") + len("<!-- schemes -->\n"), text.index("<!-- /schemes -->")
    assert text[start:end] == markdown(), "write the output of markdown() between the marks"


def test_every_scheme_has_its_rows() -> None:
    assert set(SCHEMES) <= set(ROWS)
    assert all(row.status == READ for scheme in SCHEMES for row in ROWS[scheme])
    assert set(REFUSED) - READ_OTHERWISE <= set(ROWS)
    assert all(row.status != READ for scheme in set(ROWS) - set(SCHEMES) for row in ROWS[scheme])
