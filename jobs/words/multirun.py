"""The runs that one line of a multirun stands for, by Hydra's own grammar of overrides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from zoospectra.jobs.words.command import Configuration, store_variants
from zoospectra.jobs.words.line import KEY, MULTIRUN, MisuseError


def sweep(words: Sequence[str], schema: type[Any]) -> list[list[str]]:
    """Words of every run, by Hydra's own grammar: commas, choice(), range(), glob(); the last key changes fastest.

    Equivalent to Hydra's BasicSweeper, but that words which Hydra's grammar cannot read, such as a path with a space,
    are taken as they stand. schema: the verb's settings. MisuseError for an interval, which lists no runs.
    """
    words = [word for word in words if word not in MULTIRUN]
    folders = [word.partition("=")[2] for word in words if word.startswith("--config-dir=")]
    folders += [folder for option, folder in pairwise(words) if option == "--config-dir"]
    store_variants(schema)
    with Configuration(folders).hydra():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        choices: dict[str, list[str]] = {}
        for at, word in enumerate(words):
            try:
                (override,) = parser.parse_overrides([word]) if KEY.match(word) else (None,)
            except HydraException:
                override = None
            if override is None or not override.is_sweep_override():
                choices[override.get_key_element() if override else f"word {at}"] = [word]
            elif override.is_discrete_sweep():
                key = override.get_key_element()
                choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            else:
                raise MisuseError(f"{word}: expected values to run with, such as range(1,5): an interval lists none")
    return [list(run) for run in product(*choices.values())]
