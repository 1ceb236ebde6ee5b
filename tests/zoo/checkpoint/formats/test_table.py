"""The table of formats: the document shows it, every reader is there, and what is not read is a model with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.table import FORMATS, SUFFIXES
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.sources.local import crawl

DOCS = Path(__file__).resolve().parents[4] / "docs" / "formats.md"


def page() -> str:
    """The table as Markdown; `python -m tests.zoo.checkpoint.formats.test_table` prints it."""
    lines = ["| format | suffixes | read since | read exactly | refused, with a reason |", "|---|---|---|---|---|"]
    for entry in FORMATS.values():
        suffixes = " ".join(f"`{suffix}`" for suffix in entry.suffixes)
        cells = (entry.title, suffixes, entry.since or "not read", entry.exact, entry.refused)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def test_the_document_has_the_table_of_the_code() -> None:
    text = DOCS.read_text()
    start, end = text.index("<!-- formats -->\n") + len("<!-- formats -->\n"), text.index("<!-- /formats -->")
    assert text[start:end] == page(), "write what `python -m ...test_table` prints between the marks"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_or_says_what_to_do(name: str) -> None:
    entry = FORMATS[name]
    assert (entry.reader is None) == (not entry.since)
    assert entry.exact if entry.reader else entry.refused
    assert all(SUFFIXES[suffix] == name for suffix in entry.suffixes)


@pytest.mark.parametrize("suffix", [suffix for suffix, name in SUFFIXES.items() if FORMATS[name].reader is None])
def test_a_file_of_a_format_that_is_not_read_is_a_model_with_a_reason(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"net{suffix}").write_bytes(b"\x07what ever this is\x00" * 40)
    (model,) = crawl(str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(model.path)
    assert caught.value.reason == "unsupported_format"
    assert FORMATS[SUFFIXES[suffix]].refused in caught.value.detail


def test_parts_without_their_whole_have_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt.data-00000-of-00001").write_bytes(bytes(range(64)))
    (tmp_path / "__0_0.distcp").write_bytes(bytes(range(64)))
    orbax = tmp_path / "step_5"
    orbax.mkdir()
    (orbax / "_METADATA").write_text("{}")
    (orbax / "manifest.ocdbt").write_bytes(b"x")
    reasons = {}
    for model in crawl(str(tmp_path)):
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(model.path)
        reasons[model.name] = (caught.value.reason, caught.value.detail)
    assert {name: reason for name, (reason, _) in reasons.items()} == {
        "a.ckpt.data-00000-of-00001": "unsupported_format",
        "__0_0.distcp": "unreadable",
        "step_5": "unsupported_format",
    }
    assert "without its .index" in reasons["a.ckpt.data-00000-of-00001"][1]


if __name__ == "__main__":
    print(page(), end="")
