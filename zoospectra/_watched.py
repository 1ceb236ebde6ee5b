"""Which layers WeightWatcher 0.7.7 reads of a model, under which numbers, names and types; and what differs here.

A torch module: every module by its place in named_modules(), with a type read off its class's name. A state dict: every
key that ends in '.weight', counted from 1, with a type read off its dimensions. Anything else: our layers and types.
"""

# ruff: noqa: ANN401 - any kind of model

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoospectra._path import installed_first

with installed_first():
    from zoospectra.zoo.checkpoint.formats.memory import keras_variables

log = logging.getLogger(f"{__package__}.weightwatcher")

KINDS = {"linear": "dense", "conv1d": "conv1d", "conv2d": "conv2d", "embedding": "embedding"}
"""Part of a class's name in lower case -> type, the first that fits."""

REFUSED: dict[str, tuple[object, str]] = {
    "base_model": (None, "zoospectra.compare(base, model) has the spectra of the differences"),
    "pool": (True, "zoospectra.analyze(model, profile='natcomm2021') averages over slices"),
    "ww2x": (False, "zoospectra.analyze(model, profile='natcomm2021') averages over slices"),
    "fit": ("PL", "zoospectra.analyze(model, profile='thorough') has truncated and other tails"),
    "randomize": (False, "zoospectra.analyze(model, profile='thorough') has shuffled copies, with replicas"),
    "conv2d_fft": (False, "zoospectra.analyze(model, profile='fft')"),
    "fft": (False, "zoospectra.analyze(model, profile='fft')"),
    "stacked": (False, "zoospectra.analyze(model, profile='stacked')"),
    "fix_fingers": (False, "zoospectra.analyze(model, profile='thorough') has fingers"),
    "vectors": (False, "nothing does that here"),
    "intra": (False, "nothing does that here"),
    "inverse": (False, "nothing does that here"),
    "peft": (False, "zoospectra.analyze(path of the adapter)"),
    "glorot_fix": (False, "nothing does that here"),
    "deltas": (False, "nothing does that here"),
    "conv2d_norm": (True, "a profile of your own with scale: none"),
    "xmax": (None, "a profile of your own"),
    "xmin_max": (None, "a profile of your own"),
    "channels": (None, "nothing does that here: the layout is read off the model"),
}
"""Option -> its one value, and what to call instead of another one."""

IGNORED = frozenset(
    "min_size max_size savefig sparsify svd_method tolerance pl_package max_fingers finger_thresh params".split()  # noqa: SIM905
)
"""Options that change no number here."""

_logged: set[str] = set()


class Watched(NamedTuple):
    """One layer as WeightWatcher sees it."""

    layer_id: int
    """Its number."""
    name: str
    """Last part of the longname."""
    longname: str
    """Path of the module."""
    layer_type: str
    """'dense', 'conv1d', 'conv2d' or 'embedding'."""
    N: int
    """Larger side of a matrix."""
    M: int
    """Smaller side."""
    rf: int
    """Matrices."""


def differs(sentence: str) -> None:
    """Say, once a process, what is not as in WeightWatcher."""
    _once(logging.WARNING, f"unlike WeightWatcher: {sentence}")


def _once(level: int, sentence: str) -> None:
    if sentence not in _logged:
        _logged.add(sentence)
        log.log(level, sentence)


def refuse(options: Mapping[str, object]) -> None:
    """ValueError for an option that is unknown, or has a value without a counterpart here."""
    for name, value in options.items():
        if name in IGNORED:
            continue
        if name not in REFUSED:
            msg = f"unknown option {name!r}: expected one of WeightWatcher 0.7.7"
            raise ValueError(msg)
        only, instead = REFUSED[name]
        if value != only and value is not only:
            shown = repr(value).partition("\n")[0][:60]
            msg = f"{name}={shown}: expected {only!r}, the others have no counterpart; {instead}"
            raise ValueError(msg)


def layers(model: object, rows: Sequence[Mapping[str, Any]], start_ids: int) -> list[Watched]:
    """The layers that WeightWatcher reads, with the shapes of our rows of the same names."""
    known = {row["longname"]: row for row in rows if not row["layer_type"].endswith("_part")}
    seen = [
        Watched(layer_id, longname.rpartition(".")[2], longname, kind, row["N"], row["M"], row["rf"])
        for layer_id, longname, kind in _numbered(model, list(known.values()), start_ids)
        if (row := known.get(longname)) is not None and (kind == "conv2d" or len(row["shape"]) == 2)
    ]
    if left := [name for name in known if name not in {item.longname for item in seen}]:
        some = ", ".join(left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")
        _once(logging.INFO, f"left out, as by WeightWatcher: {some}; zoospectra.analyze has them")
    return seen


def _numbered(model: object, rows: Sequence[Mapping[str, Any]], start_ids: int) -> Iterator[tuple[int, str, str]]:
    """layer_id, longname and type of everything that may have a row."""
    if _is_module(model):
        for layer_id, (longname, module) in enumerate(model.named_modules(), start_ids):  # type: ignore[attr-defined]
            words = str(type(module)).lower()
            kind = next((kind for part, kind in KINDS.items() if part in words), None)
            if kind is not None and getattr(module, "weight", None) is not None:
                yield layer_id, longname, kind
    elif isinstance(model, Mapping):
        state = model.get("state_dict", model)
        keys = [key for key in state if str(key).endswith(".weight")]
        for layer_id, key in enumerate(keys, start_ids or 1):
            kind = {2: "dense", 4: "conv2d"}.get(len(state[key].shape))
            if kind is not None:
                yield layer_id, key.removesuffix(".weight"), kind
    else:
        differs("layers of Keras, ONNX and files have our numbers and types, and none is left out")
        for row in rows:
            kind = "conv2d" if len(row["shape"]) > 2 else row["layer_type"]
            yield row["layer_id"] + start_ids, row["longname"], kind


def chosen(layers_seen: Sequence[Watched], layers: Any) -> list[Watched]:
    """Those that `layers` asks for: ids, names or types; with a minus, all but those. ValueError for a mixture."""
    asked = [layers] if isinstance(layers, int | str | np.integer) else list(layers or ())
    if not asked:
        return list(layers_seen)
    without = [item < 0 if not isinstance(item, str) else item.startswith("-") for item in asked]
    if any(without) and not all(without):
        msg = f"layers {asked}: expected ids or names to keep, or all of them with a minus to leave out"
        raise ValueError(msg)
    words = {item.removeprefix("-") if isinstance(item, str) else abs(int(item)) for item in asked}
    meant = [item for item in layers_seen if words & {item.layer_id, item.name, item.longname, item.layer_type}]
    return [item for item in layers_seen if item not in meant] if all(without) else meant


def bias(model: object, layer: Watched) -> NDArray[Any] | None:
    """The bias of a dense layer; None of others, and where there is none."""
    if layer.layer_type != "dense" or not (_is_module(model) or isinstance(model, Mapping)):
        return None
    state = model.state_dict() if _is_module(model) else model.get("state_dict", model)  # type: ignore[attr-defined]
    value = state.get(f"{layer.longname}.bias")
    return None if value is None else _numpy(value)


@dataclass(frozen=True, slots=True)
class State:
    """A model and its weights by longname, to be replaced."""

    model: Any
    """The model."""
    tensors: Mapping[str, Any]
    """longname -> its weight."""

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Values by longname."""
        return {name: _numpy(tensor) for name, tensor in self.tensors.items()}

    def put(self, longname: str, values: NDArray[Any]) -> None:
        """Replace a weight in place, in its own type and on its own device."""
        tensor = self.tensors[longname]
        if type(tensor).__module__.startswith("numpy"):
            tensor[...] = values
        else:
            tensor.copy_(sys.modules["torch"].from_numpy(np.ascontiguousarray(values)))


def state_of(model: Any) -> State:
    """The weights of a torch module or a state dict; ValueError for anything else."""
    if not (_is_module(model) or isinstance(model, Mapping)):
        msg = f"expected a torch module or a state dict, whose weights can be replaced, got {type(model).__name__}"
        raise ValueError(msg)
    state = model.state_dict() if _is_module(model) else model.get("state_dict", model)
    return State(model, {str(key).removesuffix(".weight"): value for key, value in state.items()})


def _is_module(model: object) -> bool:
    """Whether it is a torch module; a Keras model on torch is one too, but its weights lie as Keras has them."""
    return callable(getattr(model, "named_modules", None)) and keras_variables(model) is None


def _numpy(value: Any) -> NDArray[Any]:
    """Values of a tensor or array; float32 of what numpy does not know."""
    if type(value).__module__.startswith("numpy"):
        return np.asarray(value)
    value = value.detach().cpu()
    return np.asarray((value.float() if value.dtype == sys.modules["torch"].bfloat16 else value).numpy())
