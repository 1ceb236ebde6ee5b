"""What can go wrong between a server and this machine, as reasons that end up in a row."""

from __future__ import annotations

from zoospectra.zoo.checkpoint.trouble import CheckpointError


class FetchError(CheckpointError):
    """Bytes that could not be had, and why."""


class RangeIgnoredError(FetchError):
    """The server sends whole files only."""
