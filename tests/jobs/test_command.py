"""Words of the command line become checked values, or one line that helps."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from zoospectra.jobs.call import load_verb
from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.verbs.scan import ScanSettings
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.line import MisuseError, sort_words
from zoospectra.jobs.words.verb import REGISTRY


def compose(words: list[str]) -> ScanSettings:
    line = sort_words(words, ())
    return Configuration(line.folders).settings("scan", ScanSettings, line.overrides)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["zoo=lcal"], "did you mean 'local'"),
        (["zoo=local", "zoo.pth=x"], "did you mean 'zoo.path'"),
        (["limt=3"], "did you mean 'limit'"),
        (["limit=abc"], "could not be converted to Integer"),
        (["cluster=loacl"], "expected one of inline, local, ray"),
        (["garbage"], "expected key=value"),
        (["--frobnicate"], "unknown option"),
        (["--config-dir", "/nonexistent"], "is not a folder"),
        (["zoo=local", "zoo.path=${nothing}"], "nothing"),
    ],
)
def test_misuse_is_one_helpful_line(words: list[str], said: str) -> None:
    with pytest.raises(MisuseError) as caught:
        compose(words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["a=b", "with space (1)", "it's", "7e10", "1_000", "true", "C:\\x\\", "{curly}", "[x", "a,b", 'say "x"']
)
def test_text_values_are_taken_as_they_stand(path: str) -> None:
    assert compose(["zoo=local", f"zoo.path={path}"]).zoo.options.path == path


@pytest.mark.parametrize("word", ["models=resnet*,vgg?", "models=[resnet*,'vgg?']", "models='resnet*', vgg?"])
def test_lists_may_be_written_plainly(word: str) -> None:
    assert compose([word]).models == ["resnet*", "vgg?"]


def test_a_folder_of_ones_own_configurations(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "mine.yaml").write_text("source: local\nname: mine\npath: /models\n")
    assert compose(["--config-dir", str(tmp_path), "zoo=mine"]).zoo.name == "mine"


def test_unknown_profile_lists_the_known() -> None:
    with pytest.raises(MisuseError, match="did you mean 'weightwatcher'"):
        Configuration().group("profile", "weightwacher")


CONF = Path(__file__).resolve().parents[2] / "conf"
IDENTITY = {"source", "name", "kind"}
"""Keys that say which record the others belong to."""


def repeated(record: type, values: Mapping[str, Any]) -> Iterator[str]:
    """Keys whose value is the default of the record that they fill."""
    types = typing.get_type_hints(record)
    for field in dataclasses.fields(record):
        if registry := field.metadata.get(REGISTRY):
            yield from repeated(registry(values), values) if IDENTITY & values.keys() else ()
        elif field.name in values and dataclasses.is_dataclass(types[field.name]):
            yield from repeated(typing.cast(type, types[field.name]), values[field.name])
        elif field.name in values and field.name not in IDENTITY:
            factory = field.default_factory
            if values[field.name] == (field.default if factory is dataclasses.MISSING else factory()):
                yield field.name


@pytest.mark.parametrize("verb", VERBS)
def test_a_default_has_one_home(verb: str) -> None:
    """The record of whoever owns the setting; a file of conf gives what differs."""
    schema = load_verb(verb).settings
    files = {CONF / f"{verb}.yaml": schema}
    for name, type_ in typing.get_type_hints(schema).items():
        files |= {path: type_ for path in (CONF / name).glob("*.yaml") if dataclasses.is_dataclass(type_)}
    for path, record in files.items():
        values = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
        assert list(repeated(record, values)) == [], path


def test_the_values_that_are_printed_are_complete() -> None:
    """Defaults too, and the keys of whatever the group chose; they are what the verb gets."""
    words = ["zoo=local", "zoo.path=x", "fetch.rate=2"]
    printed = OmegaConf.to_container(OmegaConf.create(Configuration().text("scan", ScanSettings, words, ())))
    plain = dataclasses.asdict(compose(words))
    plain["zoo"] |= plain["zoo"].pop("options")
    assert printed == plain
