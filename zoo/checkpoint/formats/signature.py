"""Which format a file is in: by what it starts with, and only then by its name.

Names lie often enough (a pickle called .safetensors) that content decides wherever content can. Formats without a
reader are known here too, so that their models are listed with a plain reason.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from zoospectra.zoo.checkpoint.formats import safetensors, torch_legacy
from zoospectra.zoo.checkpoint.formats.table import FORMATS, SUFFIXES
from zoospectra.zoo.checkpoint.plain import plain_file
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

HEAD = 512
"""Bytes looked at; a tar archive says so at byte 257."""

MAGIC: dict[bytes, str] = {
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"GGUF": "gguf",
    b"ggml": "ggml",
    b"lmgg": "ggml",
    b"tjgg": "ggml",
    b"\x93NUMPY": "npy",
    b"\x1f\x8b": "gzip",
}
"""First bytes of a file -> format."""

TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""Last bytes of LevelDB's tables, which TensorFlow's checkpoint indices are."""

TF_DATA = re.compile(r"\.data-\d{5}-of-\d{5}")
"""Suffix of the values of a TensorFlow checkpoint."""


def format_of(path: str) -> str:
    """Format of a file: a key of zoo.checkpoint.formats.table.FORMATS.

    Raises CheckpointError: 'inaccessible' for a file that is missing or cannot be reached, 'unreadable' for one that is
    empty, or not what its suffix says, and 'unsupported_format' when neither content nor name says anything.
    """
    try:
        plain_file(path)
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
            size = file.seek(0, 2)
            file.seek(max(0, size - len(TABLE_END)))
            tail = file.read()
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error.strerror or error}") from error
    if size == 0:
        raise CheckpointError(Reason.UNREADABLE, f"{path} is empty")
    promised = SUFFIXES.get(Path(path).suffix.lower())
    if tail == TABLE_END:
        return "tf_checkpoint"
    detected = by_content(head, size) or (_zip_kind(path) if head.startswith(b"PK") else None)
    if detected is not None:
        return detected
    if TF_DATA.fullmatch(Path(path).suffix):
        return "tf_data"
    if promised is None:
        raise CheckpointError(
            Reason.UNSUPPORTED_FORMAT, f"{path}: neither its first bytes nor its name are those of weights"
        )
    if FORMATS[promised].signed:
        # Its signature was looked for: without it, the content is something else.
        title = FORMATS[promised].title
        detail = f"{path}: its suffix says {title}, but it starts with {head[:8]!r}: damaged, or something else"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return promised


def by_content(head: bytes, size: int) -> str | None:
    """Format that the first bytes of a file of `size` bytes say; None when they say nothing."""
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"TFL3":
        return "tflite"
    if torch_legacy.looks_like(head):
        return "torch_legacy"
    if head[257:262] == b"ustar":
        return "tar"
    if safetensors.looks_like(head, size):
        return "safetensors"
    if len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return "pickle"
    return None


def _zip_kind(path: str) -> str | None:
    """What kind of zip archive a file is, from its members' names; None when it is a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, OverflowError, NotImplementedError, zipfile.BadZipFile):
        return None
    if any(name.rpartition("/")[2] in ("archive_format", "serialized_exported_program.json") for name in names):
        return "pt2"
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return "torch_zip"
    if any(name.endswith("model.weights.h5") for name in names):
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    return "zip"
