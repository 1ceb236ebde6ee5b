"""Help teaches: every key with its meaning, default and an example that a verb takes."""

from __future__ import annotations

import re

import pytest

from zoospectra.analysis.studies import kinds
from zoospectra.jobs.call import load_verb
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.examples import EXAMPLES, example
from zoospectra.jobs.words.keys import keys
from zoospectra.jobs.words.line import sort_words
from zoospectra.zoo.sources import SOURCES

WORDS = {
    "describe": ["net.pt"],
    "compare": ["tuned.pt"],
    "recipe": ["local/net", "local/base.safetensors"],
    "export": ["local/net"],
    "layer": ["local/net", "fc1"],
    "figure": ["quality"],
    "publish": ["me/spectra"],
    "completion": ["bash"],
}
"""Words without a key that a verb needs."""

NEEDED = {verb: ["zoo.path=my_models"] for verb in ("scan", "catalog", "check")}
"""What the examples of their groups need besides."""

APART = {("compare", "cluster.device"), ("report", "studies"), ("report", "run")}
"""Examples that do not go with the others of their verb, or not with every machine."""

CHOSEN = [
    *((verb, {}) for verb in VERBS),
    *(("scan", {"zoo": name}) for name in SOURCES),
    *(("study", {"study": name}) for name in (*kinds(), "pypi")),
]
"""Verbs alone, and with every zoo and study."""


@pytest.mark.parametrize(("name", "chosen"), CHOSEN, ids=str)
def test_every_key_has_a_meaning_and_an_example_that_composes(name: str, chosen: dict[str, str]) -> None:
    verb = load_verb(name)
    known = [key for key in keys(name, verb, chosen) if not key.name.endswith(".KEY")]
    groups = {"zoo", "cluster", "study"}
    words = [f"{group}={choice}" for group, choice in chosen.items()]
    words += [] if chosen else NEEDED.get(name, [])
    identity = {"zoo.source", "zoo.name", "study.kind"} if chosen else set()
    for key in known:
        assert re.match(r"[A-Z'\w]", key.meaning), f"{key.name} has no meaning"
        assert not re.search(r"\b(key|[Oo]ne) of [A-Z_]{3,}\b", key.meaning), f"{key.meaning}: for programmers"
        such = example(name, key.name)
        assert such is not None, f"{key.name} has no example in jobs/words/examples.py"
        if key.name in groups & chosen.keys():
            continue
        assert such != f"{key.name}={key.default}", f"{such} is the default"
        if key.name not in identity and (name, key.name) not in APART:
            words.append(such)
    line = sort_words([*WORDS.get(name, []), *words], verb.positional)
    Configuration().settings(name, verb.settings, line.overrides, verb.positional, line.positional)


def test_no_example_is_left_over() -> None:
    named = {(name, key.name) for name, chosen in CHOSEN for key in keys(name, load_verb(name), chosen)}
    assert {key for key in EXAMPLES if " " not in key} <= {key for _, key in named}
    assert {tuple(key.split(" ", 1)) for key in EXAMPLES if " " in key} <= named


def test_help_of_a_choice_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "scan", "zoo=huggingface"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "zoo.author=null User or organisation. E.g. zoo.author=google" in out
    assert "zoo=huggingface Which zoo. One of digits, local, " in out
    assert "Ours: corrected, farms, " in out
    for words, complaint in (
        (["help", "scan", "nope=1"], "unknown key 'nope': expected one of zoo"),
        (["help", "scan", "nope"], "expected a verb and key=value, got nope after scan"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    assert main(["scan", "--help", "zoo=lcal"]) == 2
    assert "unknown zoo 'lcal' (did you mean 'local'?)" in capsys.readouterr().err
