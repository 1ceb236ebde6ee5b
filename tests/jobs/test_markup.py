"""Hostile names in LaTeX and Markdown: another program's parser reads the name, and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from zoospectra.jobs.records.card import card
from zoospectra.jobs.show.markup import latex, markdown
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.show.tables import latex as table_of
from zoospectra.warehouse.dictionary import DictionaryRow

NAMES = (
    r"\input{/etc/passwd}",
    r"50%_off & #1 \\ ^~ {} $x^2$",
    "a|b||c",
    "end\n\n\\end{tabular}\x1b[31m\x00",
    "\u202eevil\u2066",
    "[5pt]", "*[2pt]",
    "--- ,, '' `` ?` << >> \"a",
    "<script>alert(1)</script>",
    "[link](http://x) ![i](y) `code` *b* _i_ ~~s~~ &amp; # h",
    "模型 ß é",
)  # fmt: skip
UNKNOWN = {r"\textbar{}": "|", r"\textasciigrave{}": "{}`{}", r"\textless{}": "<{}", r"\textgreater{}": ">{}"}
"""Macros of LaTeX that the parser does not know."""


def test_a_tex_parser_reads_the_names_of_a_table() -> None:
    parser = pytest.importorskip("pylatexenc.latex2text", reason="pip install pylatexenc")
    reader = parser.LatexNodes2Text(strict_latex_spaces=True)
    text = table_of(pa.table({"row": list(NAMES), "[1] 50%\n": [1.0] * len(NAMES)}), "T%\n\\evil")
    first, begin, *lines = text.splitlines()
    assert first == r"% T%\n\evil"
    assert begin == r"\begin{tabular}{lr}"
    body = [line for line in lines if line.endswith(r" \\")][1:]
    for line, name in zip(body, NAMES, strict=True):
        cell = line.removesuffix(r" & 1 \\")
        assert not cell.startswith(("[", "*")), "taken by the end of the row before"
        assert not any(pair in cell for pair in ("--", "''", ",,", "?`")), "a ligature"
        known = cell
        for macro, character in UNKNOWN.items():
            known = known.replace(macro, character)
        shown = reader.latex_to_text(known).translate(str.maketrans("’”ˆ‘", "'\"^`"))
        assert shown == plain(name)
    assert text.count(r"\end{tabular}") == 1
    assert all(ord(character) >= 32 for line in text.splitlines() for character in line)


def test_a_markdown_parser_reads_the_names_of_a_table() -> None:
    parser = pytest.importorskip("markdown_it", reason="comes with rich").MarkdownIt("commonmark").enable("table")
    rows = [DictionaryRow("models", name, "VARCHAR", name, name) for name in NAMES]
    tokens = parser.parse(card("me/spectra", {"models": 1}, rows, 0).partition("\n## models")[2])
    cells = [token.children for token in tokens if token.type == "inline"][4:]
    assert len(cells) == 4 * len(NAMES)
    for i, name in enumerate(NAMES):
        for place in (0, 2, 3):
            children = cells[4 * i + place]
            assert {child.type for child in children} <= {"text", "text_special"}
            assert "".join(child.content for child in children) == plain(name)


@pytest.mark.parametrize("write", [latex, markdown])
def test_plain_names_stay_as_they_are(write) -> None:
    assert write("resnet20-12fca82f.th") == "resnet20-12fca82f.th"
