"""Pickles that were made to run code or to take memory: they do neither, in every container that torch writes."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import subprocess
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.pickled import Global, Inert
from zoospectra.zoo.checkpoint.formats.unpickler import MAX_INSTRUCTIONS, unpickle
from zoospectra.zoo.checkpoint.read import content_hash, stored
from zoospectra.zoo.checkpoint.trouble import CheckpointError

LEGACY_MAGIC = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
)


def zipped(
    code: bytes, folder: Path, members: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> Path:
    """A zip checkpoint around a pickle."""
    path = folder / "x.pt"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x/data.pkl", code)
        for name, content in (members or {}).items():
            archive.writestr(f"x/{name}", content)
    return path


def legacy(code: bytes, folder: Path) -> Path:
    """A legacy checkpoint around a pickle."""
    path = folder / "x.pth"
    path.write_bytes(LEGACY_MAGIC + code + pickle.dumps([], 2))
    return path


def bare(code: bytes, folder: Path) -> Path:
    """The pickle itself, under a name that promises something better."""
    path = folder / "x.safetensors"
    path.write_bytes(code)
    return path


class Call:
    """Pickles as a call of a function, with state, items and all."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


def attacks(target: Path) -> dict[str, bytes]:
    """Pickles each of which makes the file `target` when pickle.loads runs it."""
    touch = f"touch '{target}'"
    code = f"open({str(target)!r}, 'w').close()"
    opened = Call(open, (str(target), "w"))
    module = torch.nn.Linear(2, 2)
    return {
        "os.system": pickle.dumps({"state_dict": {"w": Call(os.system, (touch,))}}),
        "posix by name": f'cposix\nsystem\n(S"{touch}"\ntR.'.encode(),
        "exec": pickle.dumps(Call(builtins.exec, (code,))),
        "eval in a list": pickle.dumps([[[Call(builtins.eval, (code,))]]], 0),
        "getattr": (
            b"cbuiltins\ngetattr\n(cimportlib\nimport_module\n(S'os'\ntRS'system'\ntR" + f'(S"{touch}"\ntR.'.encode()
        ),
        "subprocess": pickle.dumps(Call(subprocess.call, (["touch", str(target)],))),
        "nested reduce": pickle.dumps(
            Call(OrderedDict, ([("a", opened)],), {"b": opened}, None, iter([("c", opened)]))
        ),
        "items": pickle.dumps(Call(OrderedDict, (), None, None, iter([("weight", opened)]))),
        "state": pickle.dumps({"module": module, "x": Call(Path, (str(target),), {"y": opened})}),
        "INST": f'(S"{touch}"\nios\nsystem\n.'.encode(),
        "OBJ": f'(cos\nsystem\nS"{touch}"\no.'.encode(),
        "two calls at protocol 4": pickle.dumps((Call(os.system, (touch,)), Call(os.system, (touch,))), 4),
        "BUILD of __setstate__": (
            b"ctypes\nSimpleNamespace\n)R}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsb" + f'S"{touch}"\nb.'.encode()
        ),
        "import": b"cimportlib\nimport_module\n(S'antigravity'\ntR0" + f'cos\nsystem\n(S"{touch}"\ntR.'.encode(),
        "load_from_bytes": pickle.dumps(
            Call(torch.storage._load_from_bytes, (pickle.dumps(Call(os.system, (touch,))),))
        ),
    }


@pytest.mark.parametrize("wrap", [zipped, legacy, bare])
@pytest.mark.parametrize("name", sorted(attacks(Path("x"))))
def test_nothing_is_executed(tmp_path: Path, wrap: Callable[[bytes, Path], Path], name: str) -> None:
    target = tmp_path / "made"
    with pytest.raises(CheckpointError):
        open_checkpoint(str(wrap(attacks(target)[name], tmp_path)))
    assert not target.exists(), f"{name} was executed"


@pytest.mark.parametrize("name", sorted(set(attacks(Path("x"))) - {"nested reduce", "state", "load_from_bytes"}))
def test_the_attacks_are_real(tmp_path: Path, name: str) -> None:
    """The same bytes do make the file under pickle, so that the test above tests something."""
    target = tmp_path / "made"
    run = "import pickle, sys\ntry:\n    pickle.load(sys.stdin.buffer)\nexcept Exception:\n    pass"
    subprocess.run(
        ["/usr/bin/env", "python3", "-c", run], input=attacks(target)[name], check=False, capture_output=True
    )
    assert target.exists()


def test_what_was_named_is_listed_and_not_imported(tmp_path: Path) -> None:
    code = b"}X\x01\x00\x00\x00acno_such_module\nAnything\n)Rs."
    root, position, names = unpickle(code, 0, len(code), lambda key: key)
    assert position == len(code)
    assert names == {"no_such_module.Anything"}
    assert isinstance(root, dict)
    assert isinstance(root["a"], Inert)
    assert root["a"].made_by == Global("no_such_module", "Anything")


def peak(action: Callable[[], object]) -> int:
    """Most bytes that python and numpy took at one time during a call."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fails(path: Path, reason: str) -> Callable[[], None]:
    def action() -> None:
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(str(path))
        assert caught.value.reason == reason

    return action


DEEP = 100_000
BOMBS: dict[str, tuple[bytes, str]] = {
    "LONG_BINPUT": (b"\x80\x02Nr\xff\xff\xff\x7f.", "no_tensors"),
    "PUT": (b"Np99999999999999999999\n.", "no_tensors"),
    "BINUNICODE8": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b".", "unreadable"),
    "BINBYTES8": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".", "unreadable"),
    "FRAME": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.", "no_tensors"),
    "LONG4": (b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\xff" * (1 << 20) + b".", "unsafe"),
    "decimal": (b"I" + b"9" * 100_000 + b"\n.", "unreadable"),
    "nested lists": (b"]" * DEEP + b"a" * (DEEP - 1) + b".", "unsafe"),
    "nested tuples": (b")" + b"\x85" * DEEP + b".", "unsafe"),
    "nested tuples as key": (b"})" + b"\x85" * DEEP + b"Ns.", "no_tensors"),
    "nested calls": (b"cx\ny\n" + b")R" * DEEP + b".", "no_tensors"),
    "marks": (b"(" * DEEP + b".", "unreadable"),
    "cycle": (b"]q\x00h\x00a.", "unsafe"),
    "billion laughs": (b"]" + b"".join(b"q%c]" % i + b"h%ca" % i * 10 for i in range(40)) + b".", "unsafe"),
    "copied lists": (
        b"]q\x00(" + b"NN\x86" * 20_000 + b"e0](" + b"ccollections\nOrderedDict\nh\x00\x85R" * 3000 + b"e.",
        "unsafe",
    ),
    "extension": (b"\x80\x02\x82\x01.", "unreadable"),
    "out of band": (b"\x80\x05\x97.", "unreadable"),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
@pytest.mark.parametrize("wrap", [zipped, legacy])
def test_bombs_fail_and_take_no_memory(tmp_path: Path, name: str, wrap: Callable[[bytes, Path], Path]) -> None:
    code, reason = BOMBS[name]
    # tracing memory takes ten times their time
    long = ("nested lists", "nested tuples", "nested tuples as key", "nested calls", "copied lists")
    if name == "billion laughs" or (name in long and wrap is legacy):
        fails(wrap(code, tmp_path), reason)()
        return
    assert peak(fails(wrap(code, tmp_path), reason)) < 150e6


def test_too_many_instructions_are_refused(tmp_path: Path) -> None:
    fails(zipped(b"N0" * (MAX_INSTRUCTIONS // 2 + 1) + b".", tmp_path), "unsafe")()


@pytest.mark.parametrize("legacy_format", [False, True])
def test_an_expanded_tensor_is_refused_and_its_neighbours_are_read(tmp_path: Path, legacy_format: bool) -> None:
    state = {"huge": torch.zeros(1).expand(200_000, 200_000), "w": torch.eye(3)}
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy_format)
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    assert [ref.name for ref in checkpoint.tensors] == ["w"]
    assert [(skip.tensor, skip.reason, skip.failed) for skip in checkpoint.skips] == [("huge", "expanded", True)]


def tensor_pickle(numel: int, start: int, shape: str, stride: str) -> bytes:
    """{'w': tensor} in protocol 0, with whatever numbers."""
    return (
        f"(dS'w'\nctorch._utils\n_rebuild_tensor_v2\n(((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI{numel}\ntQ"
        f"I{start}\n({shape}t({stride}tI00\nccollections\nOrderedDict\n)RtRs.".encode()
    ).replace(b"(((S'storage'", b"((S'storage'")


@pytest.mark.parametrize(
    ("numel", "start", "shape", "stride", "reason"),
    [
        (100, 95, "I10\n", "I1\n", "no_tensors"),
        (100, 0, "I2\nI2\n", "I99\nI1\n", "no_tensors"),
        (100, -5, "I10\n", "I1\n", "unreadable"),
        (100, 0, "I-10\n", "I1\n", "unreadable"),
        (100, 0, "I10\n", "I-1\n", "unreadable"),
        (100, 0, "I10\n", "I1\nI1\n", "unreadable"),
        (-1, 0, "I10\n", "I1\n", "unreadable"),
        (10**9, 0, "I1000000000\n", "I1\n", "unreadable"),
        (10**30, 0, "I1" + "0" * 30 + "\n", "I1\n", "unreadable"),
    ],
)
def test_views_outside_their_storage_are_refused(
    tmp_path: Path, numel: int, start: int, shape: str, stride: str, reason: str
) -> None:
    path = zipped(tensor_pickle(numel, start, shape, stride), tmp_path, {"data/0": b"\0" * 400})
    assert peak(fails(path, reason)) < 10e6


def test_a_forged_tensor_inside_its_bounds_is_read(tmp_path: Path) -> None:
    """The same forge with honest numbers works, so that the refusals above are for their numbers."""
    content = struct.pack("<100f", *range(100))
    path = zipped(tensor_pickle(100, 10, "I2\nI3\n", "I1\nI20\n"), tmp_path, {"data/0": content})
    (ref,) = open_checkpoint(str(path)).tensors
    assert stored(ref).tolist() == [[10.0, 30.0, 50.0], [11.0, 31.0, 51.0]]


def test_a_deflate_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    code = tensor_pickle(75_000_000, 0, "I75000000\n", "I1\n")
    path = zipped(code, tmp_path, {"data/0": b"\0" * 300_000_000}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    assert peak(fails(path, "unsafe")) < 10e6


def test_a_member_that_inflates_to_more_than_it_says_is_cut_or_refused(tmp_path: Path) -> None:
    path = zipped(
        tensor_pickle(100, 0, "I100\n", "I1\n"), tmp_path, {"data/0": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED
    )
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<I", 50_000_000), struct.pack("<I", 400)))

    def action() -> None:
        (ref,) = open_checkpoint(str(path)).tensors
        with pytest.raises(CheckpointError):
            content_hash(ref)

    assert peak(action) < 10e6


def test_archives_with_twin_or_encrypted_members_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(pickle.dumps({}), tmp_path, {"data.pkl": pickle.dumps({"a": 1})})
    fails(path, "unreadable")()
    path = zipped(pickle.dumps({}), tmp_path)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    fails(path, "unsupported_format")()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_load_or_fail_as_they_should(code: bytes) -> None:
    try:
        unpickle(code, 0, len(code), lambda key: key)
    except CheckpointError as error:
        assert error.reason in ("unreadable", "unsafe", "unsupported_dtype")  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_checkpoints_open_or_fail_as_they_should(tmp_path_factory: Any, data: st.DataObject) -> None:
    buffer, zipped = io.BytesIO(), data.draw(st.booleans())
    torch.save({"a": torch.ones(2, 3), "b": torch.ones(4, 2).T}, buffer, _use_new_zipfile_serialization=zipped)
    raw = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.pt"
    path.write_bytes(raw)
    try:
        for ref in open_checkpoint(str(path)).tensors:
            content_hash(ref)
    except CheckpointError:
        pass


literals = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(-100, 100), inner) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(value=literals, protocol=st.integers(0, 5))
def test_plain_data_equals_pickle(value: object, protocol: int) -> None:
    code = pickle.dumps(value, protocol)
    loaded, position, names = unpickle(code, 0, len(code), lambda key: key)
    assert position == len(code)
    if protocol < 3 and names:  # bytes as protocols 0 to 2 write them: a call, which is not made
        assert names <= {"_codecs.encode", "__builtin__.bytes"}
        return
    assert loaded == value
    assert names == set()
