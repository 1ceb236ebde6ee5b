"""Words of the command line become checked values, or one line that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoospectra.jobs.verbs.scan import ScanSettings
from zoospectra.jobs.words.command import Configuration, MisuseError, sort_words


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
