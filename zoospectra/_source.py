"""What a model may be given as: an object of torch, Keras or ONNX, arrays by name, or a path; opened for a while."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from zoospectra.jobs.words.line import MisuseError
from zoospectra.zoo.checkpoint.formats.memory import in_memory


@contextmanager
def opened(model: object) -> Iterator[tuple[str, str]]:
    """Name of a model, and the path that the readers open it by while this lasts.

    An ONNX model is written to a temporary file, since its reader reads files; its external data lies beside the file
    it came from, so give the path of a model that has such. Raises ValueError for another kind of object and for a path
    that is not there.
    """
    if isinstance(model, str | PathLike):
        path = Path(model)
        if not path.exists():
            raise MisuseError(f"{path}: no such file or folder")
        yield str(path), str(path.absolute())
        return
    kind = type(model)
    if kind.__module__.startswith("onnx") and callable(write := getattr(model, "SerializeToString", None)):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            file.write_bytes(write())
            yield kind.__name__, str(file)
        return
    with in_memory(model) as place:
        yield kind.__name__, place
