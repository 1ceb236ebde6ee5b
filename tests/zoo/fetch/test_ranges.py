"""Byte ranges: exactly what was asked for, or an error."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import Loopback
from zoospectra.zoo.fetch.errors import FetchError, RangeIgnoredError
from zoospectra.zoo.fetch.ranges import ByteRange, coalesce, read_range, stream_range
from zoospectra.zoo.fetch.session import Session

DATA = os.urandom(400_000)
Fetching = Callable[..., Session]


@pytest.fixture
def url(server: Loopback, fetching: Fetching) -> str:
    fetching()
    server.content.files["/net.safetensors"] = DATA
    return server.url + "/net.safetensors"


def test_only_the_range_is_sent(server: Loopback, url: str) -> None:
    assert read_range(url, 1000, 3000) == DATA[1000:3000]
    assert server.sent() == 2000


def test_a_cut_range_goes_on_where_it_stopped(server: Loopback, url: str) -> None:
    server.script.add("/net*", "cut", 1, after=70_000)
    assert read_range(url, 100_000, 300_000) == DATA[100_000:300_000]
    assert [seen.range for seen in server.log] == ["bytes=100000-299999", "bytes=170000-299999"]
    assert server.sent() == 200_000


def test_a_server_without_ranges_is_noticed_before_its_body_is_read(server: Loopback, url: str) -> None:
    server.script.add("/net*", "ignore_range")
    with pytest.raises(RangeIgnoredError):
        read_range(url, 0, 100)


@pytest.mark.parametrize("kind", ["shift_range", "late_range", "cut_length", "encoding"])
def test_other_bytes_than_asked_for_are_an_error(server: Loopback, url: str, kind: str) -> None:
    server.script.add("/net*", kind, after=9)
    with pytest.raises(FetchError) as caught:
        read_range(url, 50, 5000)
    assert caught.value.reason == ("unsafe" if kind == "encoding" else "unreachable")


@pytest.mark.parametrize(("kind", "after"), [("shift_range", 0), ("late_range", 0), ("cut_length", 9), ("length", 9)])
def test_one_wrong_answer_is_survived(server: Loopback, url: str, kind: str, after: int) -> None:
    server.script.add("/net*", kind, 1, after=after)
    assert read_range(url, 50, 5000) == DATA[50:5000]


def test_a_range_beyond_the_end_is_an_error_unless_clipped(url: str) -> None:
    with pytest.raises(FetchError, match="asked for bytes"):
        read_range(url, 399_990, 400_010)
    kept = bytearray()
    assert stream_range(url, 399_990, 400_010, kept.extend, clip=True) == 400_000
    assert bytes(kept) == DATA[399_990:]
    with pytest.raises(FetchError) as caught:
        read_range(url, 500_000, 500_001)
    assert caught.value.reason == "unreadable"


def test_a_file_that_changes_between_two_parts_of_a_range_is_an_error(server: Loopback, url: str) -> None:
    server.script.add("/net*", "cut", 1, after=1000)
    real = server.script.now

    def change(path: str) -> object:
        if len(server.log) == 2:
            server.content.files["/net.safetensors"] = DATA + b"more"
        return real(path)

    server.script.now = change  # type: ignore[method-assign,assignment]
    with pytest.raises(FetchError, match="had 400000 bytes"):
        read_range(url, 0, 5000)


def test_the_target_of_a_redirect_is_asked_directly_the_next_time(server: Loopback, fetching: Fetching) -> None:
    with Loopback() as other:
        fetching()
        other.content.files["/signed"] = DATA
        server.script.add("/net.safetensors", "redirect", to=other.url + "/signed")
        for start in (0, 10, 20):
            assert read_range(server.url + "/net.safetensors", start, start + 5) == DATA[start : start + 5]
        assert (len(server.log), len(other.log)) == (1, 3)
        # The signature expires: the address itself is asked once more.
        other.script.add("/signed", "status", 1, status=403)
        assert read_range(server.url + "/net.safetensors", 30, 35) == DATA[30:35]
        assert (len(server.log), len(other.log)) == (2, 5)


def spans() -> st.SearchStrategy[list[ByteRange]]:
    pairs = st.tuples(st.integers(0, 5000), st.integers(1, 500))
    return st.lists(pairs.map(lambda pair: ByteRange(pair[0], pair[0] + pair[1])), max_size=20)


@given(spans(), st.integers(0, 300), st.integers(1, 2000))
def test_groups_hold_every_span_once_and_respect_both_bounds(found: list[ByteRange], gap: int, longest: int) -> None:
    groups = coalesce(found, gap, longest)
    assert sorted((one for group in groups for one in group), key=str) == sorted(found, key=str)
    for group in groups:
        if len(group) > 1:
            assert max(one.stop for one in group) - group[0].start <= longest
        end = group[0].stop
        for span in group[1:]:
            assert span.start - end <= gap
            end = max(end, span.stop)
