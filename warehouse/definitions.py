"""What a generation consists of: a file of sql/tables, sql/views, sql/macros or sql/rules each, named as what it makes.

A file begins with `-- comment: what it is` and, where its columns come from other kinds of part than its name says,
`-- columns: kind, kind` (the first one explains a column that several have). What it needs is read off its FROM, its
JOIN and its calls, and `definitions` puts every file behind those it needs. A rule is a macro that only a build sees.
Not covered: running them (build.py), comments of single columns (dictionary.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from importlib import resources
from importlib.resources.abc import Traversable

from zoospectra.warehouse.place import attachable

SQL: Traversable = resources.files("zoospectra.warehouse") / "sql"
FOLDERS = {"tables": "TABLE", "views": "VIEW", "macros": "MACRO", "rules": "TEMP MACRO"}
HEADER = re.compile(r"^-- (comment|columns): (.+)$", re.MULTILINE)
NEEDS = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)|\b(\w+)\s*\(")


@dataclass(frozen=True, slots=True)
class Definition:
    """One table, view, macro or rule."""

    name: str
    """Its name, the file's."""
    kind: str
    """'TABLE', 'VIEW', 'MACRO' or 'TEMP MACRO'."""
    comment: str
    """What it is, one line."""
    columns: tuple[str, ...]
    """Kinds of part that explain its columns, the first one first."""
    sql: str
    """The SELECT of a table or view; parameters and body of a macro. It may have {blanks}."""

    def create(self, sql: str, replace: bool = False) -> str:
        """The statement that makes it, from its SQL with the blanks filled."""
        word = "CREATE OR REPLACE" if replace else "CREATE"
        if self.tabular:
            sql = attachable(sql, {*names("tables"), *names("views")}, _tabular())
        return f'{word} {self.kind} "{self.name}"{" AS" if self.kind in ("TABLE", "VIEW") else ""}\n{sql}'

    @property
    def commented(self) -> str:
        """What COMMENT ON calls it: a macro that answers with a table is a MACRO TABLE."""
        return f'{self.kind}{" TABLE" if self.tabular else ""} "{self.name}"'

    @property
    def tabular(self) -> bool:
        """Whether it is a macro that answers with a table and that a warehouse keeps."""
        return self.kind == "MACRO" and re.match(r"\([^()]*\) AS TABLE\b", self.sql) is not None


@cache
def definitions() -> tuple[Definition, ...]:
    """Every definition, each behind all that it needs; the order is the same on every machine."""
    known = {definition.name: definition for definition in _read()}
    needs = {name: sorted(_needs(known[name].sql) & known.keys() - {name}) for name in sorted(known)}
    return tuple(known[name] for name in TopologicalSorter(needs).static_order())


@cache
def _tabular() -> dict[str, str]:
    """Name -> parameters and body of every macro that answers with a table."""
    return {definition.name: definition.sql for definition in definitions() if definition.tabular}


def of_kind(*kinds: str) -> tuple[Definition, ...]:
    """The definitions of these kinds ('TABLE', 'VIEW', 'MACRO', 'TEMP MACRO'), in order of need."""
    return tuple(definition for definition in definitions() if definition.kind in kinds)


@cache
def text(folder: str, name: str) -> str:
    """A file of sql/<folder>, without its suffix."""
    return (SQL / folder / f"{name}.sql").read_text()


@cache
def names(folder: str) -> tuple[str, ...]:
    """Names of the files of sql/<folder>, sorted, without suffix; () when there is no such folder."""
    if not (SQL / folder).is_dir():
        return ()
    return tuple(sorted(e.name.removesuffix(".sql") for e in (SQL / folder).iterdir() if e.name.endswith(".sql")))


def _read() -> Iterator[Definition]:
    for folder, kind in FOLDERS.items():
        for name in names(folder):
            whole = text(folder, name)
            header = dict(HEADER.findall(whole))
            columns = tuple(header.get("columns", name.removesuffix("_history")).split(", "))
            sql = whole if kind in ("TABLE", "VIEW") else whole[whole.index("\n(") + 1 :]
            yield Definition(name, kind, header["comment"], columns, sql)


def _needs(sql: str) -> set[str]:
    """Names behind FROM or JOIN, and of what is called; some are no definitions."""
    return {name for pair in NEEDS.findall(re.sub(r"--.*", "", sql)) for name in pair if name}
