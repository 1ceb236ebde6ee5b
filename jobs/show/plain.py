"""Names from outside as text on a screen: no control character, no change of direction, nothing a terminal obeys."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that are shown by their code: controls, formats (bidirectional overrides, zero width), surrogates,
private use, line and paragraph separators."""


INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffe\uffff")
"""Letters and marks that no font draws, and what is no character: the default-ignorable ones outside HIDDEN."""

VARIANTS = ("\ufe00", "\ufe0f", "\U000e0100", "\U000e01ef")
"""First and last of the two ranges of variation selectors."""


def plain(text: str) -> str:
    r"""The text with every character of HIDDEN as Python writes it in a string: '\n', '\x1b', '\u202e'.

    A soft hyphen, a zero-width joiner and letters that no font draws are escaped too: names that differ look different.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _is_hidden(character) else character for character in text
    )


def _is_hidden(character: str) -> bool:
    first, last, more, end = VARIANTS
    selects = first <= character <= last or more <= character <= end
    return unicodedata.category(character) in HIDDEN or character in INVISIBLE or selects
