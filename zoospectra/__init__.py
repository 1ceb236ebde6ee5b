"""zoospectra measures the quality of pretrained neural networks from their weights alone.

    import zoospectra
    zoospectra.analyze(torch_module)                  # or a state dict, arrays by name, a Keras or ONNX model, a path
    run = zoospectra.scan(zoo="local", path="DIR", warehouse="data")
    with zoospectra.open("data") as warehouse:
        warehouse.sql("SELECT model_id, alpha FROM model_metrics").to_pandas()

Public are the names of `__all__`, `zoospectra.weightwatcher` (WeightWatcher's calls) and the tables of a warehouse
(`zoospectra dictionary`). Nothing else is: the modules below, analysis, conf, jobs, warehouse and zoo, may change with
any version. What a name needs is imported at its first
use. Wrong usage is a ValueError with the words of the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoospectra._analyze import Analysis, analyze
    from zoospectra._distances import distances
    from zoospectra._verbs import Run, StudyRun, compare, refit, scan, study
    from zoospectra._warehouse import Warehouse, open

    __version__: str

__all__ = [
    "Analysis",
    "Run",
    "StudyRun",
    "Warehouse",
    "__version__",
    "analyze",
    "compare",
    "distances",
    "open",
    "refit",
    "scan",
    "study",
]

_HOMES = {
    "Analysis": "_analyze",
    "Run": "_verbs",
    "StudyRun": "_verbs",
    "Warehouse": "_warehouse",
    "analyze": "_analyze",
    "compare": "_verbs",
    "distances": "_distances",
    "open": "_warehouse",
    "refit": "_verbs",
    "scan": "_verbs",
    "study": "_verbs",
}
"""Public name -> module that has it."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562: any public name
    """A public name, imported now."""
    if name == "__version__":
        from importlib.metadata import version

        return version("zoospectra")
    if name not in _HOMES:
        msg = f"module 'zoospectra' has no attribute {name!r}; public are {', '.join(__all__)}"
        raise AttributeError(msg)
    import importlib

    from zoospectra._path import installed_first

    with installed_first():
        value = getattr(importlib.import_module(f"zoospectra.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for completion."""
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]
