"""A remote file behaves as a local one, and costs little more than what is read."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loopback import Loopback
from zoospectra.zoo.fetch.errors import FetchError, RangeIgnoredError
from zoospectra.zoo.fetch.file import RemoteFile
from zoospectra.zoo.fetch.session import Session

DATA = os.urandom(50_000)
Fetching = Callable[..., Session]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]), st.integers(-60_000, 60_000), st.integers(-1, 9000)
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_it_reads_as_a_local_file_does(server: Loopback, fetching: Fetching, steps: list[tuple[int, int, int]]) -> None:
    fetching()
    server.content.files["/data"] = DATA
    far, near = RemoteFile(server.url + "/data", window=1000), io.BytesIO(DATA)
    for whence, offset, count in steps:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: near.tell(), os.SEEK_END: len(DATA)}[whence]
        target = max(0, base + offset)
        assert far.seek(target) == near.seek(target)
        assert far.read(count) == near.read(count)
        assert far.tell() == near.tell()


def test_one_member_of_a_large_archive_is_all_that_travels(server: Loopback, fetching: Fetching) -> None:
    fetching()
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        for number in range(40):
            archive.writestr(f"model_{number}/weights", bytes([number]) * 200_000)
    server.content.files["/contest.zip"] = kept.getvalue()
    with zipfile.ZipFile(RemoteFile(server.url + "/contest.zip")) as archive:
        assert archive.read("model_17/weights") == bytes([17]) * 200_000
    assert server.sent() < 1_000_000 < len(kept.getvalue())


def test_a_server_without_ranges_and_a_missing_file_raise(server: Loopback, fetching: Fetching) -> None:
    fetching()
    server.content.files["/data"] = DATA
    server.script.add("/data", "ignore_range")
    with pytest.raises(RangeIgnoredError):
        RemoteFile(server.url + "/data")
    with pytest.raises(FetchError) as caught:
        RemoteFile(server.url + "/none")
    assert caught.value.reason == "not_found"
