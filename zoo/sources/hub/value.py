"""Numbers as people write them in model cards. Pure."""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+[.,]\d+|\d+|\.\d+)(?:[eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
NO_NUMBER = frozenset({"", "-", "n/a", "na", "nan", "none", "null", "tbd", "todo", "?"})
MAX_TEXT = 200
"""Characters of a value's text that are kept."""


def number(value: object) -> float | None:
    """The first number of a value, in its own unit: '81.2%' is 81.2, '20.0 +- 1.2' is 20.0, '1,014.45' is 1014.45.

    A comma before exactly three digits groups thousands, any other is a decimal comma. None when there is no finite
    number; truth values are none.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _finite(value)
    if not isinstance(value, str) or value.strip().lower() in NO_NUMBER:
        return None
    match = NUMBER.search(value[:MAX_TEXT])
    if match is None or _inside_word(value, match):
        return None
    text = match[0].replace("−", "-")
    text = text.replace(",", "") if THOUSANDS.match(match[0]) else text.replace(",", ".")
    return _finite(text)


def words(value: object) -> str | None:
    """The value as its source wrote it; None for a plain number, which says no more than the number itself."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None
    return str(value)[:MAX_TEXT]


def _finite(value: int | float | str) -> float | None:
    try:
        plain = float(value)
    except (ValueError, OverflowError):
        return None
    return plain if math.isfinite(plain) else None


def _inside_word(value: str, match: re.Match[str]) -> bool:
    """Whether the digits belong to a word such as 'top1' or 'v2'."""
    return match.start() > 0 and (value[match.start() - 1].isalpha() or value[match.start() - 1] == "_")
