"""The words of one command, sorted: overrides, words without a key, options. What is wrong with one is one line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoospectra.jobs.words.verb import Positional

KEY = re.compile(r"\+{0,2}[A-Za-z_][\w.]*=")
"""How a word with a key begins."""

GRAMMAR = re.compile(r"~|[+\w.]+[@/:][^=]*=|hydra[./]")
"""How a word of Hydra's grammar begins that has no meaning here: deletions, packages, settings of Hydra itself."""


MULTIRUN = ("-m", "--multirun")
"""Words that ask for several runs."""


class MisuseError(ValueError):
    """Wrong usage: one line that says what, what was expected, and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """The words of one command, sorted."""

    overrides: tuple[str, ...] = ()
    """key=value."""
    positional: tuple[str, ...] = ()
    """Words without a key."""
    folders: tuple[str, ...] = ()
    """Folders of --config-dir."""
    name: str | None = None
    """File of --config-name, without its ending, in place of the verb's own."""
    show_values: bool = False
    """--cfg: print the values, do nothing."""


@contextmanager
def misuse() -> Iterator[None]:
    """Turn the ValueErrors of a check into MisuseErrors of one line."""
    try:
        yield
    except ValueError as error:
        raise MisuseError(" ".join(str(error).split())) from error


def sort_words(words: Sequence[str], positional: Sequence[Positional], keys: Collection[str] = ()) -> Line:
    """Sort a command's words; a word that looks like key=value is positional where it names a file that is there.

    `--key value` is key=value for a key of the verb itself, one of `keys`. MisuseError for an option that does not
    exist, and for a word without a key where the verb takes none.
    """
    overrides: list[str] = []
    plain: list[str] = []
    folders: list[str] = []
    name: str | None = None
    show_values = False
    rest = iter(words)
    for word in rest:
        option, _, value = word.partition("=")
        if option == "--config-dir":
            folders.append(value or next(rest, ""))
        elif option == "--config-name":
            name = value or next(rest, "")
        elif word == "--cfg":
            show_values = True
        elif option.startswith("--") and option[2:] in keys:
            overrides.append(f"{option[2:]}={value or next(rest, '')}")
        elif word.startswith("--") and " " not in word:
            raise MisuseError(
                f"unknown option {word!r}: expected key=value, --config-dir DIR, --config-name NAME, --cfg, --help"
            )
        elif GRAMMAR.match(word) and not (positional and (Path(word).exists() or not KEY.match(word))):
            raise MisuseError(
                f"cannot read {word!r}: of Hydra's grammar key=value, group=NAME, +group=NAME and -m are understood"
            )
        elif KEY.match(word) and not (positional and Path(word).exists()):
            overrides.append(word)
        elif positional:
            plain.append(word)
        else:
            raise MisuseError(f"cannot read {word!r}: expected key=value; --cfg prints the keys and their values")
    return Line(tuple(overrides), tuple(plain), tuple(folders), name, show_values)
