"""Identities: what makes a spectrum, a result or a model the same as one that is kept already."""

from __future__ import annotations

from typing import NamedTuple


class SpectrumId(NamedTuple):
    """One raw spectrum."""

    content_hash: str
    """Hash of the tensor's bytes, dtype and shape, hex."""
    unfold: str
    """Rule that made matrices of the tensor."""
    code_version: str
    """Version of the code that computes spectra."""


class ResultId(NamedTuple):
    """The metrics of one tensor under one profile."""

    content_hash: str
    """Hash of the tensor's bytes, dtype and shape, hex."""
    unfold: str
    """Rule that made matrices of the tensor."""
    profile_key: str
    """Digest of the profile's values, hex."""
    code_version: str
    """Version of the code that computes metrics."""


class ModelId(NamedTuple):
    """One revision of a model."""

    model_id: str
    """Stable name: zoo/name."""
    revision: str
    """What pins the bytes: a commit, a tag or a sha256."""


def seed_of(content_hash: str) -> int:
    """Seed of everything random about a tensor: the first 64 bits of its content hash, whatever machine works on it."""
    return int(content_hash[:16], 16)
