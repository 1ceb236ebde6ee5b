"""Lets torchvision be imported beside a torch that its compiled operators were not built for.

Its wheels register their operators on import and its Python files then decorate 'torchvision::nms' and
'torchvision::qnms'; without the compiled library that fails with 'operator torchvision::nms does not exist'. Declaring
the two without any implementation is enough to read a catalog. Nothing here computes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
"""Signature of both operators, as torchvision's own C++ declares it."""


def declare_operators() -> torch.library.Library:
    """Declare torchvision's operators; returns the library object, which the caller keeps alive.

    To be called before torchvision is imported, in a process of its own: a process that runs these operators later
    would find them empty.
    """
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}{SCHEMA}")  # type: ignore[no-untyped-call]
    return library
