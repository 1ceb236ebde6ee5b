"""The models of a large catalog in a temporary file: 8 bytes a model stay in memory, where a Model takes 700.

Not covered: what a source holds while it lists them.
"""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import overload

from zoospectra.zoo.model import Model

FEW = 1000
"""Models that are kept as they are."""

TOGETHER = 500
"""Models that are written and read together when all are gone through."""

_values = attrgetter(*Model.__slots__)


def spooled(models: Iterable[Model]) -> Sequence[Model]:
    """The same models in their order: a tuple where they are few, else read from a file each time they are asked for.

    OSError, of the temporary folder, when that file cannot be written.
    """
    if isinstance(models, Spool):
        return models
    rest = iter(models)
    first = tuple(itertools.islice(rest, FEW))
    return Spool(itertools.chain(first, rest)) if len(first) == FEW else first


class Spool(Sequence[Model]):
    """Models in a file without a name, which goes with its last user; `spooled` makes one where it is worth while."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._starts = array("q", [0])
        rest = iter(models)
        try:
            self._file = tempfile.TemporaryFile(prefix="zoospectra-")  # noqa: SIM115 - open as long as this is
            while some := [pickle.dumps(_values(model)) for model in itertools.islice(rest, TOGETHER)]:
                self._starts.extend(
                    itertools.islice(itertools.accumulate(map(len, some), initial=self._starts[-1]), 1, None)
                )
                self._file.write(b"".join(some))
            self._file.flush()
        except OSError as error:
            if error.filename is not None or error.errno is None:
                raise
            raise OSError(error.errno, os.strerror(error.errno), tempfile.gettempdir()) from error

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, at: int) -> Model: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Model, ...]: ...

    def __getitem__(self, at: int | slice) -> Model | tuple[Model, ...]:
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(len(self))))
        (model,) = self._read(range(len(self))[at], 1)
        return model

    def __iter__(self) -> Iterator[Model]:
        for first in range(0, len(self), TOGETHER):
            yield from self._read(first, min(TOGETHER, len(self) - first))

    def _read(self, first: int, count: int) -> Iterator[Model]:
        starts = self._starts[first : first + count + 1]
        block = memoryview(os.pread(self._file.fileno(), starts[-1] - starts[0], starts[0]))
        for start, end in itertools.pairwise(starts):
            yield Model(*pickle.loads(block[start - starts[0] : end - starts[0]]))  # noqa: S301 - written here
