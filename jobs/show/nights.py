"""What a night brought, in sentences, and as a page that opens in any browser: names from outside are text in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.work.night import Failure, Night
from zoospectra.warehouse.disk import written

SHOWN = 5
"""Names that a sentence lists; the page has all."""

HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
"""


def sections(night: Night) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Title and lines of what there is of each kind, nothing of what there is not."""
    lists = {
        "new": night.new,
        "changed": night.changed,
        "worse": night.worse,
        "new failure": tuple(map(_words, night.new_failures)),
        "known failure": tuple(map(_words, night.known_failures)),
        "mended": tuple(map(_words, night.mended)),
        "gone": night.gone,
    }
    yield from ((title, lines) for title, lines in lists.items() if lines)


def sentences(night: Night) -> Iterator[str]:
    """'1 known failure: ...' and its like, one line a kind."""
    for title, lines in sections(night):
        plural = "s" if title.endswith("failure") and len(lines) > 1 else ""
        yield plain(f"{len(lines)} {title}{plural}: {_some(lines)}")


def _some(lines: Sequence[str]) -> str:
    rest = f", and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return ", ".join(lines[:SHOWN]) + rest


def _words(failure: Failure) -> str:
    return f"{failure.model_id}{f' {failure.tensor}' if failure.tensor else ''} ({failure.reason})"


def write_page(night: Night, run_id: str, warehouse: Path) -> Path:
    """Write DIR/nights/RUN.html, line by line; returns its path."""
    path = warehouse / "nights" / f"{run_id}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    with written(path), path.open("w", encoding="utf-8") as page:
        page.write(HEAD.format(title=escape(f"Run {run_id}")))
        none = True
        for title, lines in sections(night):
            page.write(f"<h2>{len(lines)} {title}</h2>\n<ul>\n")
            page.writelines(f"<li>{escape(plain(line))}</li>\n" for line in lines)
            page.write("</ul>\n")
            none = False
        page.write("<p>Nothing changed.</p>\n</html>\n" if none else "</html>\n")
    return path
