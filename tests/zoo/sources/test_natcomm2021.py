"""The paper's data as a user gets them: pinned, verified, downloaded once; here from a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import Loopback
from zoospectra.zoo.fetch import client
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.settings import FetchSettings, environment
from zoospectra.zoo.sources import Crawl, source
from zoospectra.zoo.sources.tables import natcomm2021


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback() as running:
        monkeypatch.setattr(client, "BASE_DELAY", 0.01)
        settings = FetchSettings(rate=1000.0, attempts=2)
        for name, value in environment(settings, tmp_path / "node").items():
            monkeypatch.setenv(name, value)
        yield running


def test_every_pinned_file_is_the_one_at_hand(shared: Path, server: Loopback, tmp_path: Path) -> None:
    """The checksums beside the source are those of the public files; the folder reads as the original does."""
    raw = shared / "reference" / "raw"
    assert all(url.startswith("https://raw.githubusercontent.com/") for url in natcomm2021.REPOSITORIES.values())
    rows = natcomm2021.pinned_files()
    files = natcomm2021.pins({name: f"{server.url}/{name}/{{path}}" for name in natcomm2021.REPOSITORIES}, rows)
    assert len(files) == 83
    for pin, row in zip(files, rows, strict=True):
        folder, _, inner = pin.path.partition("/")
        server.content.files[f"/{folder}/{row['path_in_repository'] or inner}"] = (raw / pin.path).read_bytes()
    folder = natcomm2021.fetch(files, tmp_path / "paper")
    asked = len(server.log)
    assert natcomm2021.fetch(files, folder) == folder
    assert len(server.log) == asked
    published = source("published")
    crawling = Crawl("published", tmp_path, print)
    of = [published.crawl(published.options(str(place)), crawling) for place in (folder, raw)]
    assert of[0] == of[1]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".csv", ".txt", ".md"}


def row(path: str) -> dict[str, str]:
    return {"path": path, "sha256": "0" * 64, "path_in_repository": ""}


def test_other_bytes_are_refused(server: Loopback, tmp_path: Path) -> None:
    server.content.files["/r/data/a.csv"] = b"layer_id,alpha\n"
    files = natcomm2021.pins({"r": f"{server.url}/r/{{path}}"}, [row("r/data/a.csv")])
    with pytest.raises(FetchError, match=r"a\.csv"):
        natcomm2021.fetch(files, tmp_path / "paper")
    assert not (tmp_path / "paper" / "r" / "data" / "a.csv").exists()


@pytest.mark.parametrize("path", ["elsewhere/a.csv", "r/../../a.csv"])
def test_paths_stay_in_their_repository(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path that begins with one of r"):
        natcomm2021.pins({"r": "https://x/{path}"}, [row(path)])


def test_data_that_cannot_be_had_says_what_to_do(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        natcomm2021, "REPOSITORIES", dict.fromkeys(natcomm2021.REPOSITORIES, f"{server.url}/none/{{path}}")
    )
    published = source("published")
    with pytest.raises(ValueError, match=r"cannot be downloaded \(not_found.*give zoo\.path=DIR of a copy"):
        published.crawl(published.options(), Crawl("published", tmp_path, print))


def test_a_details_table_is_a_model_with_published_rows_under_any_name_of_a_zoo(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text("layer_id,alpha,D,N,M,layer_type\n1,2.5,0.1,8,4,DENSE\n")
    published = source("published")
    (model,) = published.crawl(published.options(str(tmp_path)), Crawl("mine", tmp_path, print))
    assert (model.model_id, model.zoo, model.path) == ("mine/net", "mine", "")
    assert model.published is not None
    assert [(row.layer_id, row.values["alpha"]) for row in model.published.layers] == [(1, 2.5)]
    assert model.revision == model.published.sha256
