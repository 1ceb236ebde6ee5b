"""Tables on narrow screens: no number cropped, no column hidden in silence, names as text and distinct."""

from __future__ import annotations

import csv
import io
import re

import pyarrow as pa
import pytest

from zoospectra.jobs.show.display import distinct, print_lifted, print_rows, shortened
from zoospectra.jobs.show.formats import Printable, check_format, print_as
from zoospectra.jobs.show.plain import plain

NAMES = ["model", "series", "layers", "alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm"]
ROWS = [
    (f"digits/mlp4-w128-b16-d0.25-wd0.00{number}", "mlp-4", 5, 2.279, -1.757, 2.3191234, 1.775 * number, 0.2627, 83.72)
    for number in range(8)
]


def printed(capsys: pytest.CaptureFixture[str], width: int, monkeypatch: pytest.MonkeyPatch, **options: object) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    print_rows([*NAMES, "test_accuracy"], ROWS, "averages", digits=4, keep=("test_accuracy",), **options)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("whole", [False, True])
def test_every_number_that_is_shown_is_whole(
    width: int, whole: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = printed(capsys, width, monkeypatch, whole=whole)
    table = out.partition("left out")[0]
    rows = [line.split() for line in table.splitlines() if "83.72" in line]
    known = {f"{value:.4g}" for row in ROWS for value in row if not isinstance(value, str)}
    assert all(set(row[1:]) - {"mlp-4"} <= known for row in rows)
    assert table.count("83.72") == len(ROWS), "the target always stays"
    assert len({row[0] for row in rows}) == len(ROWS), "names are distinct"
    assert max(map(len, table.splitlines())) <= width


def test_what_is_left_out_is_counted_and_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = printed(capsys, 60, monkeypatch, whole=False)
    shown = [name for name in NAMES if name.split("_")[-1] in out.partition("left out")[0]]
    (count,) = re.findall(r"(\d+) columns? left out\s+for\s+width", out)
    assert int(count) + len(shown) >= len(NAMES) - 1
    assert "log_spectral_norm" in out
    assert "a wider terminal shows them" in " ".join(out.split())
    assert "left out" not in printed(capsys, 200, monkeypatch, whole=False)


def test_names_that_look_alike_when_shortened_are_numbered() -> None:
    names = [f"zoo/{'a' * 30}{number}{'b' * 30}" for number in range(12)]
    short = distinct(names, 20)
    assert len(set(short)) == 12
    assert max(map(len, short)) <= 20
    assert distinct(["x", "x"], 20) == ["x", "x"]
    assert shortened("abcdefghij", 5) == "ab…ij"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[bold red]rich[/bold]", "[bold red]rich[/bold]"),
        ("blk[/x].weight", "blk[/x].weight"),
        ("a\nb\x1b[31mred", r"a\nb\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\x85\u2028", r"a\u200bb\x85\u2028"),
        ("\udce9t\udce9", r"\udce9t\udce9"),
        ("modèle-漢字", "modèle-漢字"),
    ],
)
def test_names_are_text(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plain(text) == shown
    print_rows(["name"], [(text,)], title=text)
    out = capsys.readouterr().out
    assert out.count(shown) == 2
    assert not set(out) & {"\x1b", "\u202e", "\x85", "\u2028"}


def test_a_table_of_texts_alone_keeps_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_rows(["model", "revision", "tensor"], [("m" * 40, "7" * 64, "bn1.running_mean")])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 60
    assert re.sub(r"[^7]", "", out) == "7" * 64, "folded, not cropped"


def test_one_row_that_is_too_wide_stands_upright(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_rows([f"quantity_{number}" for number in range(30)], [tuple(range(100, 130))], keep=())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line[:1] != []][2:] == [[f"quantity_{n}", str(100 + n)] for n in range(30)]


def test_what_is_the_same_in_every_row_stands_above(capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"model": ["a", "a"], "slice": [None, None], "of": ["x", "y"], "alpha": [2.5, 3.5]})
    print_lifted(table, ("model", "slice", "of"))
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "model a"
    assert next(line.split() for line in lines if line.split()) == ["of", "alpha"]


def test_a_spreadsheet_computes_no_name(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The rule of OWASP's page on CSV injection, read back by another reader of CSV."""
    names = ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "\uff1dx", "plain", "a=b", "", None, "a\x1b[2Jb", "\u202ec\n"]
    table = pa.table({"-name": names, "alpha": [-float(number) for number in range(len(names))]})
    print_as(Printable(table, "csv", "escape"))
    header, *rows = csv.reader(io.StringIO(capfdbinary.readouterr().out.decode(), newline=""))
    assert header == ["'-name", "alpha"]
    shown = [
        "'=1+1",
        "'+x",
        "'-x",
        "'@x",
        r"'\tx",
        r"'\rx",
        "'\uff1dx",
        "plain",
        "a=b",
        "",
        "",
        r"a\x1b[2Jb",
        r"\u202ec\n",
    ]
    assert [name for name, _ in rows] == shown
    assert [float(value) for _, value in rows] == [-float(number) for number in range(len(names))], "numbers stay"
    print_as(Printable(table, "csv"))
    assert next(iter(capfdbinary.readouterr().out.splitlines())) == b'"-name","alpha"'
    with pytest.raises(ValueError, match="formulas=no: expected one of keep, escape"):
        check_format("csv", "no")
