"""A generation that travels: it finds its spectra beside itself, and its macros work when it is attached.

A view cannot ask where its database lies, but DuckDB names its own temporary folder after the file it opened, and a
view asks for that setting anew whenever it is used (1.2 to 2.0). Where another setting or an attachment hides the file,
`SET VARIABLE warehouse_dir = 'DIR'` says it, and without that the error does.
Not covered: which parts there are (parts.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

STORAGE = "v1.2.0"
"""Storage version of the database files: every DuckDB from 1.2 on opens them."""

FOLDER_VARIABLE = "warehouse_dir"
"""DuckDB variable that says where the warehouse lies, where its file is not the one that was opened."""

_ASK = "SET VARIABLE warehouse_dir to the folder of this attached warehouse: "
_OPENED = r"regexp_matches(current_setting('temp_directory'), '.\.(tmp|spill)$')"
_BESIDE = r"regexp_replace(current_setting('temp_directory'), '[^/\\]*$', '')"
FOLDER = (
    f"regexp_replace(coalesce(getvariable('{FOLDER_VARIABLE}') || '/', CASE WHEN {_OPENED} THEN {_BESIDE} ELSE"
    rf" '{_ASK}' END), '([*?\[])', '[\1]', 'g')"
)
"""SQL: the warehouse's folder with its slash, as a pattern that matches itself; in place of it, what to do."""

PARAMETER = "warehouse"
"""Parameter of every macro that answers with a table: the name that the warehouse is attached under."""

_SOURCE = re.compile(r"\b(FROM|JOIN)\s+(\w+)\b(?!\s*\()(\s+AS\s+\w+)?")
_CALL = re.compile(r"\bFROM\s+(\w+)\s*\(([^()]*)\)")


def beside(patterns: Collection[str]) -> str:
    """SQL: a list of files by patterns relative to the warehouse's folder."""
    return "[" + ", ".join(f"{FOLDER} || '" + pattern.replace("'", "''") + "'" for pattern in patterns) + "]"


def attachable(macro: str, sources: Collection[str], macros: Mapping[str, str]) -> str:
    """Parameters and body of a table macro that finds `sources`, tables and views, in the database that is asked for.

    A macro is bound where it is called, not where it lies. So every source is looked up by name, behind that of the
    database where `warehouse := 'name'` is given; `macros` (name -> parameters and body) are put in place of a call,
    which must hand on parameters under their own names. Raises ValueError for another call.
    """
    parameters, body = macro.split(" AS TABLE", 1)
    bare = parameters.strip()[1:-1].strip()
    prefix = f"coalesce({PARAMETER} || '.', '')"

    def inlined(match: re.Match[str]) -> str:
        if match[1] not in macros:
            return match[0]
        given = [argument.split(":=") for argument in match[2].split(",") if argument.strip()]
        if any(len(pair) != 2 or pair[0].strip() != pair[1].strip() for pair in given):
            msg = f"{match[0]}: expected arguments that are handed on, such as name := name"
            raise ValueError(msg)
        return f"FROM ({macros[match[1]].split(' AS TABLE', 1)[1]})"

    def named(match: re.Match[str]) -> str:
        if match[2] not in sources:
            return match[0]
        return f"{match[1]} query_table({prefix} || '{match[2]}'){match[3] or f' AS {match[2]}'}"

    body = _SOURCE.sub(named, _CALL.sub(inlined, re.sub(r"--.*", "", body)))
    return f"({bare}{', ' if bare else ''}{PARAMETER} := NULL) AS TABLE{body}"
