"""Names from outside as text on a screen: no control character, no change of direction, nothing a terminal obeys."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that are shown by their code: controls, formats (bidirectional overrides, zero width), surrogates,
private use, line and paragraph separators."""


def plain(text: str) -> str:
    r"""The text with every character of HIDDEN as Python writes it in a string: '\n', '\x1b', '\u202e'.

    A soft hyphen and a zero-width joiner are escaped too: two names that differ shall look different.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in HIDDEN else character
        for character in text
    )
