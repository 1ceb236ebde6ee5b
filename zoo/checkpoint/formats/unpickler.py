"""A pickle machine that executes nothing: torch's pickles become plain data and inert objects.

It is a machine of its own and no subclass of pickle.Unpickler, for three reasons: the library imports and calls what
a pickle names unless every path is closed; it takes gigabytes for a nine-byte pickle (LONG_BINPUT sizes its memo by
the largest index); and it hashes what it finds, which overflows the C stack on deeply nested tuples. Here a name is a
`Global` record, a call is `pickled.build`, the memo is a dict, keys that are not scalars are opaque, and instructions,
bytes and copies are counted. torch's own weights_only reader is a machine of its own too.
Not covered: protocol 5's out-of-band buffers and the extension registry; both are refused.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from mmap import mmap
from typing import NamedTuple

from zoospectra.zoo.checkpoint.formats.pickled import Global, Inert, LongString, Refused, Tensor, build
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

Buffer = bytes | mmap
PersistentLoad = Callable[[object], object]

MAX_PICKLE = 64 << 20
"""Most bytes of instructions and short strings; the pickle of a checkpoint of 50 000 tensors has about 10 MB."""
MAX_INSTRUCTIONS = 3_000_000
"""Most instructions: about 40 a tensor, so 75 000 tensors; at most some 100 bytes of memory each."""
LONG_BYTES = 4096
"""Byte strings above this stay where they are."""
MAX_LINE = 1 << 20
"""Most bytes of a line of text."""
MAX_INTEGER = 1024
"""Most bytes of one integer."""
SCALARS = (str, int, float, bool, bytes, type(None))
"""Types that may be dict keys as they are."""

MARK = object()
"""What the MARK instruction pushes."""


class Unpickled(NamedTuple):
    """What one pickle holds."""

    root: object
    """The object it stands for."""
    end: int
    """Position behind it, bytes from the buffer's start."""
    globals: set[str]
    """'module.name' of everything it refers to by name."""


def unpickle(buffer: Buffer, start: int, stop: int, persistent_load: PersistentLoad) -> Unpickled:
    """Load one pickle from buffer[start:stop].

    Raises CheckpointError: 'unreadable' for what is no pickle, 'unsafe' for what needs more than its size explains.
    """
    machine = _Machine(buffer, start, stop, persistent_load)
    try:
        return Unpickled(machine.run(), machine.position, machine.globals)
    except CheckpointError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error, OverflowError) as error:
        detail = f"not a pickle, or a damaged one, at byte {machine.position}: {type(error).__name__} {error}"
        raise CheckpointError(Reason.UNREADABLE, detail) from error
    except (RecursionError, MemoryError) as error:
        raise CheckpointError(Reason.UNSAFE, f"pickle needs too much memory at byte {machine.position}") from error


class _Machine:
    """Stack, memo and position of one pickle being read."""

    def __init__(self, buffer: Buffer, start: int, stop: int, persistent_load: PersistentLoad) -> None:
        self.buffer = buffer
        self.position = start
        self.stop = stop
        self.persistent_load = persistent_load
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.globals: set[str] = set()
        self.copied = 0

    def run(self) -> object:
        """Execute instructions until STOP and return what it leaves."""
        for _ in range(MAX_INSTRUCTIONS):
            opcode = self.take(1)[0]
            if opcode == pickle.STOP[0]:
                return self.pop()
            handler = INSTRUCTIONS.get(opcode)
            if handler is None:
                raise CheckpointError(
                    Reason.UNREADABLE, f"byte {opcode:#x} at {self.position - 1} is no instruction we run"
                )
            handler(self)
        raise CheckpointError(Reason.UNSAFE, f"pickle of more than {MAX_INSTRUCTIONS} instructions")

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.position + count
        if end > self.stop:
            raise CheckpointError(
                Reason.UNREADABLE, f"the pickle ends at byte {self.stop}, {end - self.stop} bytes too early"
            )
        self.copied += count
        if self.copied > MAX_PICKLE:
            raise CheckpointError(Reason.UNSAFE, f"pickle of more than {MAX_PICKLE} bytes of instructions and text")
        taken = self.buffer[self.position : end]
        self.position = end
        return taken

    def unsigned(self, size: int) -> int:
        """The next little-endian unsigned integer."""
        return int.from_bytes(self.take(size), "little")

    def line(self, encoding: str = "utf-8") -> str:
        """The next line of text, as protocol 0 writes its arguments."""
        end = self.buffer.find(b"\n", self.position, min(self.stop, self.position + MAX_LINE))
        if end < 0:
            raise CheckpointError(Reason.UNREADABLE, f"a line of text at byte {self.position} has no end")
        return self.take(end + 1 - self.position)[:-1].decode(encoding, "backslashreplace")

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> object:
        """Take a value from the stack."""
        value = self.stack.pop()
        if value is MARK:
            raise CheckpointError(Reason.UNREADABLE, f"a mark instead of a value at byte {self.position}")
        return value

    def pop_to_mark(self) -> list[object]:
        """Take everything above the topmost mark, and the mark."""
        values: list[object] = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        values.reverse()
        return values

    def name(self, module: str, name: str) -> None:
        """Push what a pickle calls a global."""
        reference = Global(module, name)
        self.globals.add(reference.path)
        self.push(reference)


def _put(machine: _Machine, key: int) -> None:
    machine.memo[key] = machine.stack[-1]


def _bytes(machine: _Machine, length: int) -> None:
    if length <= LONG_BYTES:
        machine.push(machine.take(length))
        return
    if length > machine.stop - machine.position:
        raise CheckpointError(Reason.UNREADABLE, f"a string of {length} bytes at byte {machine.position} is cut short")
    machine.push(LongString(machine.position, length))
    machine.position += length


def _text(machine: _Machine, length: int) -> None:
    machine.push(machine.take(length).decode("utf-8", "backslashreplace"))


def _ascii(machine: _Machine, length: int) -> None:
    """Python 2's byte strings, which are names more often than not."""
    machine.push(machine.take(length).decode("latin-1"))


def _quoted(machine: _Machine) -> None:
    machine.push(machine.line().strip("'\""))


def _integer(machine: _Machine, length: int) -> None:
    if length > MAX_INTEGER:
        raise CheckpointError(Reason.UNSAFE, f"an integer of {length} bytes")
    machine.push(int.from_bytes(machine.take(length), "little", signed=True))


def _decimal(machine: _Machine) -> None:
    text = machine.line().removesuffix("L")
    machine.push({"00": False, "01": True}.get(text, int(text)))


def _tuple(machine: _Machine, count: int) -> None:
    values = [machine.pop() for _ in range(count)]
    machine.push(tuple(reversed(values)))


def _set_items(machine: _Machine, items: list[object]) -> None:
    target = machine.stack[-1]
    if len(items) % 2:
        raise CheckpointError(Reason.UNREADABLE, f"a key without a value at byte {machine.position}")
    if isinstance(target, Inert):  # a subclass of dict
        target.items = target.items or {}
        target = target.items
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value


def _dict(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    machine.push({})
    _set_items(machine, items)


def _key(key: object) -> object:
    """A dict key that is safe to hash: anything but a scalar is opaque, and different from every other."""
    if type(key) not in SCALARS or (type(key) is int and key.bit_length() > 60):  # larger ones can be made to collide
        return Inert("key", key)
    return key


def _append(machine: _Machine, items: list[object]) -> None:
    target = machine.stack[-1]
    if isinstance(target, list):
        target.extend(items)


def _reduce(machine: _Machine) -> None:
    args = machine.pop()
    _call(machine, machine.pop(), args)


def _call(machine: _Machine, made_by: object, args: object) -> None:
    """Push what a call gives; a list that it copies counts, or one shared list could be copied without end."""
    if isinstance(args, tuple) and args and isinstance(args[0], list):
        machine.copied += 64 * len(args[0])
    machine.push(build(made_by, args))


def _new_with_keywords(machine: _Machine) -> None:
    machine.pop()
    _reduce(machine)


def _set_state(machine: _Machine) -> None:
    state = machine.pop()
    target = machine.stack[-1]
    if isinstance(target, Inert):
        target.state = state
    elif not isinstance(target, (dict, Tensor, Refused, Global)):
        raise CheckpointError(Reason.UNREADABLE, f"state for a {type(target).__name__} at byte {machine.position}")


def _object(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    _call(machine, values[0], tuple(values[1:]))


def _instance(machine: _Machine) -> None:
    machine.name(machine.line(), machine.line())
    made_by = machine.pop()
    _call(machine, made_by, tuple(machine.pop_to_mark()))


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise CheckpointError(Reason.UNREADABLE, f"a global without a name at byte {machine.position}")
    machine.name(module, name)


INSTRUCTIONS: dict[int, Callable[[_Machine], object]] = {
    opcode[0]: handler
    for opcode, handler in {
        pickle.PROTO: lambda m: m.take(1),
        pickle.FRAME: lambda m: m.take(8),
        pickle.MARK: lambda m: m.push(MARK),
        pickle.POP: lambda m: m.stack.pop(),
        pickle.POP_MARK: lambda m: m.pop_to_mark(),
        pickle.DUP: lambda m: m.push(m.stack[-1]),
        pickle.NONE: lambda m: m.push(None),
        pickle.NEWTRUE: lambda m: m.push(True),
        pickle.NEWFALSE: lambda m: m.push(False),
        pickle.INT: _decimal,
        pickle.LONG: _decimal,
        pickle.BININT: lambda m: m.push(struct.unpack("<i", m.take(4))[0]),
        pickle.BININT1: lambda m: m.push(m.unsigned(1)),
        pickle.BININT2: lambda m: m.push(m.unsigned(2)),
        pickle.LONG1: lambda m: _integer(m, m.unsigned(1)),
        pickle.LONG4: lambda m: _integer(m, m.unsigned(4)),
        pickle.FLOAT: lambda m: m.push(float(m.line())),
        pickle.BINFLOAT: lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
        pickle.STRING: _quoted,
        pickle.BINSTRING: lambda m: _ascii(m, m.unsigned(4)),
        pickle.SHORT_BINSTRING: lambda m: _ascii(m, m.unsigned(1)),
        pickle.UNICODE: lambda m: m.push(m.line("raw-unicode-escape")),
        pickle.SHORT_BINUNICODE: lambda m: _text(m, m.unsigned(1)),
        pickle.BINUNICODE: lambda m: _text(m, m.unsigned(4)),
        pickle.BINUNICODE8: lambda m: _text(m, m.unsigned(8)),
        pickle.SHORT_BINBYTES: lambda m: _bytes(m, m.unsigned(1)),
        pickle.BINBYTES: lambda m: _bytes(m, m.unsigned(4)),
        pickle.BINBYTES8: lambda m: _bytes(m, m.unsigned(8)),
        pickle.BYTEARRAY8: lambda m: _bytes(m, m.unsigned(8)),
        pickle.EMPTY_TUPLE: lambda m: m.push(()),
        pickle.TUPLE1: lambda m: _tuple(m, 1),
        pickle.TUPLE2: lambda m: _tuple(m, 2),
        pickle.TUPLE3: lambda m: _tuple(m, 3),
        pickle.TUPLE: lambda m: m.push(tuple(m.pop_to_mark())),
        pickle.EMPTY_LIST: lambda m: m.push([]),
        pickle.LIST: lambda m: m.push(m.pop_to_mark()),
        pickle.APPEND: lambda m: _append(m, [m.pop()]),
        pickle.APPENDS: lambda m: _append(m, m.pop_to_mark()),
        # A set of scalars or of objects: a list serves, and needs no hashing.
        pickle.EMPTY_SET: lambda m: m.push([]),
        pickle.ADDITEMS: lambda m: _append(m, m.pop_to_mark()),
        pickle.FROZENSET: lambda m: m.push(tuple(m.pop_to_mark())),
        pickle.EMPTY_DICT: lambda m: m.push({}),
        pickle.DICT: _dict,
        pickle.SETITEM: lambda m: _set_items(m, [m.pop(), m.pop()][::-1]),
        pickle.SETITEMS: lambda m: _set_items(m, m.pop_to_mark()),
        pickle.PUT: lambda m: _put(m, int(m.line())),
        pickle.BINPUT: lambda m: _put(m, m.unsigned(1)),
        pickle.LONG_BINPUT: lambda m: _put(m, m.unsigned(4)),
        pickle.MEMOIZE: lambda m: _put(m, len(m.memo)),
        pickle.GET: lambda m: m.push(m.memo[int(m.line())]),
        pickle.BINGET: lambda m: m.push(m.memo[m.unsigned(1)]),
        pickle.LONG_BINGET: lambda m: m.push(m.memo[m.unsigned(4)]),
        pickle.GLOBAL: lambda m: m.name(m.line(), m.line()),
        pickle.STACK_GLOBAL: _stack_global,
        pickle.REDUCE: _reduce,
        pickle.NEWOBJ: _reduce,
        pickle.NEWOBJ_EX: _new_with_keywords,
        pickle.OBJ: _object,
        pickle.INST: _instance,
        pickle.BUILD: _set_state,
        pickle.BINPERSID: lambda m: m.push(m.persistent_load(m.pop())),
        pickle.PERSID: lambda m: m.push(m.persistent_load(m.line())),
    }.items()
}
"""Opcode -> what it does. Left out, and so refused: EXT1/2/4, NEXT_BUFFER, READONLY_BUFFER."""
