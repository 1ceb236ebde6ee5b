"""Downloads against a real server: whole, resumed, verified, or a reason; never half a file in its place."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import Loopback, Zeros
from zoospectra.zoo.fetch.download import download
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.session import Session
from zoospectra.zoo.fetch.settings import GB

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
SHA1 = hashlib.sha1(DATA).hexdigest()
Fetching = Callable[..., Session]


@pytest.fixture
def url(server: Loopback, fetching: Fetching) -> str:
    fetching()
    server.content.files["/release/net-01.pth"] = DATA
    return server.url + "/release/net-01.pth"


def leftovers(here: Session) -> list[Path]:
    return list(here.cache.root.rglob("*.part"))


def test_a_file_is_fetched_once_a_node_and_keeps_its_suffix(server: Loopback, url: str) -> None:
    first = download(url, checksum=f"sha256:{SHA256}", expected_size=len(DATA))
    assert first.read_bytes() == DATA
    assert first.suffix == ".pth"
    assert download(url, checksum=f"sha256:{SHA256}", expected_size=len(DATA)) == first
    assert [seen.status for seen in server.log] == [200]


def test_requests_say_who_asks_and_carry_no_token(
    server: Loopback, url: str, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetching(endpoint="http://127.0.0.1:9")
    download(url)
    assert server.log[0].agent.startswith("zoospectra/")
    assert server.log[0].authorization is None


@pytest.mark.parametrize("fragment", [f"#sha256={SHA256}", f"#sha256={SHA256[:8]}", f"#sha1={SHA1}", "#size=300000"])
def test_checksums_in_the_locator_are_enough(url: str, fragment: str) -> None:
    assert download(url + fragment).read_bytes() == DATA


def test_a_cut_connection_is_resumed_and_only_the_rest_is_asked_for(server: Loopback, url: str) -> None:
    server.script.add("/release/*", "cut", 1, after=200_000)
    server.script.add("/release/*", "cut", 2, after=50_000)
    assert download(url, checksum=f"sha256:{SHA256}").read_bytes() == DATA
    assert [seen.range for seen in server.log] == [None, "bytes=200000-", "bytes=250000-"]
    assert server.sent() == len(DATA)


def test_a_killed_download_is_resumed_by_the_next_run(server: Loopback, url: str, fetching: Fetching) -> None:
    server.script.add("/release/*", "cut", 1, after=123_456)
    with pytest.raises(FetchError, match="given up"):
        download(url, within=fetching(attempts=1))
    server.script.clear()
    assert download(url, within=fetching()).read_bytes() == DATA
    assert server.log[-1].range == "bytes=123456-"
    assert server.sent() == len(DATA)


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Loopback, url: str, fetching: Fetching) -> None:
    server.script.add("/release/*", "cut", 1, after=1000)
    with pytest.raises(FetchError):
        download(url, within=fetching(attempts=1))
    server.content.files["/release/net-01.pth"] = other = random.Random(1).randbytes(200_000)
    assert download(url, within=fetching()).read_bytes() == other


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_troubles_are_survived(server: Loopback, url: str, status: int) -> None:
    server.script.add("/release/*", "status", 1, 2, status=status)
    assert download(url).read_bytes() == DATA
    assert [seen.status for seen in server.log] == [status, status, 200]


@pytest.mark.parametrize(("kind", "after"), [("length", 7), ("cut", 0)])
def test_bodies_shorter_than_announced_never_get_into_place(
    server: Loopback, url: str, fetching: Fetching, kind: str, after: int
) -> None:
    server.script.add("/release/*", kind, after=after)
    with pytest.raises(FetchError) as caught:
        download(url)
    assert caught.value.reason == ("unreachable" if kind == "cut" else "unreadable")
    assert not list((fetching().cache.root / "files").rglob("*.pth"))


def test_one_wrongly_announced_length_is_survived(server: Loopback, url: str) -> None:
    server.script.add("/release/*", "length", 1, after=7)
    assert download(url).read_bytes() == DATA


def test_a_short_announced_length_is_found_out_by_the_checksum(server: Loopback, url: str, fetching: Fetching) -> None:
    server.script.add("/release/*", "cut_length", after=5)
    with pytest.raises(FetchError) as caught:
        download(url, checksum=f"sha256:{SHA256}")
    assert caught.value.reason == "checksum_mismatch"
    assert leftovers(fetching()) == []


def test_wrong_bytes_are_deleted_and_reported(server: Loopback, url: str, fetching: Fetching) -> None:
    server.script.add("/release/*", "wrong", 1)
    with pytest.raises(FetchError) as caught:
        download(url, checksum=f"sha256:{SHA256}")
    assert caught.value.reason == "checksum_mismatch"
    assert SHA256 in caught.value.detail
    here = fetching()
    assert not [path for path in (here.cache.root / "files").rglob("*") if path.is_file()]
    assert download(url, checksum=f"sha256:{SHA256}").read_bytes() == DATA


def test_a_wrong_beginning_is_replaced_when_the_rest_shows_it(server: Loopback, url: str, fetching: Fetching) -> None:
    here = fetching(attempts=1)
    server.script.add("/release/*", "cut", 1, after=100_000)
    with pytest.raises(FetchError):
        download(url, checksum=f"sha256:{SHA256}", within=here)
    part = next(path for path in leftovers(here) if ".json" not in path.name)
    part.write_bytes(bytes(100_000))
    assert download(url, checksum=f"sha256:{SHA256}", within=here).read_bytes() == DATA
    assert [seen.range for seen in server.log] == [None, "bytes=100000-", None]


def test_a_redirect_to_another_host_loses_the_token(
    server: Loopback, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Loopback() as other:
        other.content.files["/elsewhere.bin"] = DATA
        server.script.add("/gone.bin", "redirect", to=other.url + "/elsewhere.bin")
        fetching()
        assert download(server.url + "/gone.bin").read_bytes() == DATA
        assert server.log[0].authorization == "Bearer hf_secret"
        assert other.log[0].authorization is None


def test_redirects_in_a_circle_end(server: Loopback, fetching: Fetching) -> None:
    fetching()
    server.script.add("/round.bin", "redirect", to=server.url + "/round.bin")
    with pytest.raises(FetchError) as caught:
        download(server.url + "/round.bin")
    assert caught.value.reason == "unreachable"
    assert len(server.log) <= 6


def test_a_slow_drip_is_broken_off_and_given_up(server: Loopback, url: str, fetching: Fetching) -> None:
    here = fetching(patience=0.2, min_rate=10_000.0, attempts=2)
    server.script.add("/release/*", "drip", after=10, seconds=0.02)
    with pytest.raises(FetchError) as caught:
        download(url, within=here)
    assert caught.value.reason == "unreachable"
    assert "slower" in caught.value.detail
    assert len(server.log) == 2
    server.script.clear()
    assert download(url, within=here).read_bytes() == DATA


def test_compressed_answers_are_refused(server: Loopback, url: str) -> None:
    server.script.add("/release/*", "encoding")
    with pytest.raises(FetchError, match="gzip") as caught:
        download(url)
    assert caught.value.reason == "unsafe"


def test_a_file_larger_than_the_cache_is_not_even_begun(server: Loopback, fetching: Fetching) -> None:
    here = fetching(cache_gb=(1 << 20) / GB)
    server.content.files["/huge.pth"] = Zeros(1 << 30)
    with pytest.raises(FetchError) as caught:
        download(server.url + "/huge.pth", within=here)
    assert caught.value.reason == "unsafe"
    assert server.sent() < 8 << 20


def test_two_threads_fetch_one_file_once(server: Loopback, url: str) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(download(url).read_bytes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 4
    assert len(server.log) == 1


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host/net.pth",
        "file:///etc/passwd",
        "http://user:secret@host/net.pth",
        "http:///net.pth",
        "http://host/net.pth#sha256=xyz",
        "http://host/net.pth#size=many",
    ],
)
def test_strange_locators_are_refused(fetching: Fetching, text: str) -> None:
    fetching()
    with pytest.raises(FetchError) as caught:
        download(text)
    assert caught.value.reason == "unsafe"


def test_names_that_climb_never_become_paths(server: Loopback, fetching: Fetching, tmp_path: Path) -> None:
    here = fetching()
    for path in ("/a/../../../../evil.pth", "/%2e%2e%2fevil.pth", "/x/..", "/evil.p%00th", "/" + "n" * 3000 + ".pth"):
        server.content.files[path] = DATA
        try:
            found = download(server.url + path, within=here)
        except FetchError:
            continue
        assert found.resolve().is_relative_to(here.cache.root.resolve())
        assert len(found.name) < 60
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def zipped(members: dict[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return kept.getvalue()


def test_the_one_file_of_an_archive_is_checked_after_unpacking(server: Loopback, fetching: Fetching) -> None:
    fetching()
    server.content.files["/net.pth.zip"] = zipped({"../../net.pth": DATA, "__MACOSX/._net.pth": b"x"})
    found = download(f"{server.url}/net.pth.zip#sha1={SHA1}&unzip=1")
    assert found.read_bytes() == DATA
    assert found.suffix == ".pth"
    with pytest.raises(FetchError) as caught:
        download(f"{server.url}/net.pth.zip#sha1={'0' * 40}&unzip=1")
    assert caught.value.reason == "checksum_mismatch"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (zipped({"a.pth": DATA, "b.pth": DATA}), "unreadable"),
        (zipped({"bomb.pth": bytes(50_000_000)}), "unsafe"),
        (b"PK\x03\x04 no archive at all", "unreadable"),
    ],
)
def test_bad_archives_end_in_a_reason(server: Loopback, fetching: Fetching, body: bytes, reason: str) -> None:
    here = fetching()
    server.content.files["/bad.pth.zip"] = body
    with pytest.raises(FetchError) as caught:
        download(f"{server.url}/bad.pth.zip#unzip=1", within=here)
    assert caught.value.reason == reason
    assert leftovers(here) == []
