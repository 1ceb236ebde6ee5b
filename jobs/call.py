"""A verb from its words to its result: what the command, the library and tests share."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

from zoospectra.jobs.silence import watch
from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.line import MisuseError, misuse, sort_words
from zoospectra.jobs.words.verb import Verb


def load_verb(name: str) -> Verb:
    """A verb by its name; ValueError lists the known ones."""
    if name not in VERBS:
        msg = f"unknown verb {name!r}: expected one of {', '.join(VERBS)}"
        raise ValueError(msg)
    verb: Verb = importlib.import_module(f"zoospectra.jobs.verbs.{name}").VERB
    return verb


def prepare(verb: Verb, name: str, words: Sequence[str]) -> Any:  # noqa: ANN401 - the request of any verb
    """The checked request of a verb, or None when its values were asked for, and printed. MisuseError: wrong usage."""
    line = sort_words(words, verb.positional, [field.name for field in dataclasses.fields(verb.settings)])
    configuration = Configuration(line.folders, line.name)
    if line.show_values:
        print(configuration.text(name, verb.settings, line.overrides, verb.positional))
        return None
    settings = configuration.settings(name, verb.settings, line.overrides, verb.positional, line.positional)
    if hasattr(settings, "warehouse"):
        watch(settings.warehouse.dir)
    with misuse():
        return verb.check(settings, configuration)


def call(name: str, *words: str) -> Any:  # noqa: ANN401 - the result of any verb
    """Run a verb and return its result, nothing printed; wrong usage is a ValueError with the words of the command."""
    verb = load_verb(name)
    request = prepare(verb, name, words)
    if request is None:
        raise MisuseError("--cfg prints values and gives no result")
    return verb.run(request)
