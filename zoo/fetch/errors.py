"""What can go wrong between a server and this machine, as reasons that end up in a row."""

from __future__ import annotations

from zoospectra.zoo.checkpoint.tensor import CheckpointError

REASONS: dict[str, str] = {
    "gated": "its terms must be accepted first: accept them on its page, set HF_TOKEN, scan again",
    "forbidden": "the server refuses access: it is private, disabled, or the token has no rights to it",
    "not_found": "the catalog names it, but the server does not have it",
    "unreachable": "the server or the network failed on every try; the next run tries again",
    "rate_limited": "the server asked to slow down for longer than this run may wait; the next run tries again",
    "over_budget": "the day's byte budget is spent; the next run goes on from here, or raise fetch.day_gb",
    "checksum_mismatch": "the bytes are not those that the catalog names; they were deleted",
}
"""Reason -> what to do about it; part of zoo.checkpoint.trouble.REASONS."""

RETRIED = frozenset({"unreachable", "rate_limited", "over_budget", "checksum_mismatch"})
"""Reasons that another run may overcome."""


class FetchError(CheckpointError):
    """Bytes that could not be had; `reason` is one of REASONS here or of zoo.checkpoint.trouble.REASONS."""


class RangeIgnoredError(FetchError):
    """The server sends whole files only."""
