"""Seconds, bytes and the state of a run as people read them."""

from __future__ import annotations

import datetime

import pytest

from zoospectra.jobs.show.progress import Tally, state
from zoospectra.jobs.show.units import QUANTITY, duration, size


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (9_996, "10.0 kB"),
        (38_300_000, "38.3 MB"),
        (999_900_000, "1.00 GB"),
        (141e9, "141 GB"),
    ],
)
def test_bytes(count: float, written: str) -> None:
    assert size(count) == written
    assert QUANTITY.fullmatch(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (0.00012, "0.12 ms"),
        (0.5, "500 ms"),
        (0.9999, "1.0 s"),
        (3.21, "3.2 s"),
        (41.3, "41 s"),
        (59.9, "1 min"),
        (125, "2 min 5 s"),
        (3599.8, "60 min"),
        (7300, "2 h 2 min"),
        (86399, "24 h"),
        (200_000, "2 days 8 h"),
    ],
)
def test_seconds(seconds: float, written: str) -> None:
    assert duration(seconds) == written
    assert QUANTITY.fullmatch(written)


def test_how_far_a_run_is() -> None:
    noon = datetime.datetime(2026, 11, 26, 12, 0)
    tally = Tally(models=1200, opened=300, tensors=9000, finished=2500, bytes=6_000_000_000, failures=2)
    assert state(tally, 0.25, 600.0, 1800.0, noon) == (
        "25%, 300 of 1,200 models opened, 2,500 of 9,000 tensors, 6.00 GB read, 10.0 MB/s, "
        "30 min left, done at 12:30, 2 failed"
    )
    assert state(Tally(tensors=4), 0.01, 1.0, None, noon) == "1%, 0 of 4 tensors"
    assert state(Tally(tensors=774), 1.0, 1.0, None, noon) == "99%, 0 of 774 tensors"
    assert state(Tally(), 0.5, 90_000.0, 90_000.0, noon).endswith("25 h left, done at Fri 13:00")
