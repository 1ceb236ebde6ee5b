"""What a verb of the command is: its settings, its words, what it checks, what it does, what it shows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Hydra costs a tenth of a second: --help does without
    from zoospectra.jobs.words.command import Configuration

REGISTRY = "registry"
"""Metadata key of a field whose record depends on the group's values: a function from them to the record's type."""

CHOICE = "choice"
"""Metadata key of a field that takes the name of the file that the group's values come from."""

VARIANTS = "variants"
"""Metadata key of a field that names one of a registry: a function to {name: values}, choices that need no file."""


@dataclass(frozen=True, slots=True)
class Positional:
    """A word without a key."""

    field: str
    """Field of the verb's settings that takes it."""
    label: str
    """What usage and messages call it, such as PATH."""
    many: bool = False
    """Whether the field is a list that takes this word and all that follow."""
    optional: bool = False
    """Whether it may be left out; the field then keeps its default."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. The command calls check, run and show in this order; only check's ValueErrors are wrong usage.

    A verb's module imports what computes inside these functions: --help and mistakes answer at once.
    """

    help: str
    """Usage, and what the verb does; what --help prints."""
    settings: type[Any]
    """Frozen record that conf/<verb>.yaml and the words become; each field has its default there or in the YAML."""
    check: Callable[[Any, Configuration], Any]
    """Settings -> request of `run`. Raises ValueError for everything that the user can get wrong; changes nothing."""
    run: Callable[[Any], Any]
    """Request -> result: the work."""
    show: Callable[[Any], None]
    """Print a result."""
    failures: Callable[[Any], int] = lambda _result: 0
    """Result -> models and layers that failed."""
    positional: tuple[Positional, ...] = ()
    """Words without a key, in their order."""


def check_one_profile(names: Sequence[str]) -> None:
    """Refuse any number of profiles but one, as a ValueError."""
    if len(names) != 1:
        msg = f"profiles={','.join(names)}: expected one name"
        raise ValueError(msg)


def did_you_mean(wanted: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """' (did you mean 'this'?)' for a name close to a known one, or nothing; `cutoff` as difflib.get_close_matches."""
    close = difflib.get_close_matches(wanted, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""
