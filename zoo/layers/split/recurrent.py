"""Recurrent layers: the gates of LSTM and GRU are stored one above the other; each is a matrix of its own.

torch: weight_ih_l0 (g u, in), weight_hh_l0 (g u, u), gates in the order of torch.nn.LSTM and torch.nn.GRU. Keras (in
torch's layout, see zoo.checkpoint.layout): kernel (g u, in), recurrent_kernel (g u, u), for ConvLSTM with the axes of a
kernel behind. ONNX (one direction, see formats/onnx_file): LSTM.W (g u, in), LSTM.R (g u, u). Legend: u units, g gates.
Not covered: cells whose names are their own.
"""

from __future__ import annotations

import re

from zoospectra.zoo.checkpoint.view import Take
from zoospectra.zoo.layers.split.part import Context, LayerPart

TORCH = re.compile(r"weight_(ih|hh)(_l\d+(?:_reverse)?)?$")
"""Last part of the names in torch."""

TORCH_GATES: dict[int, tuple[str, ...]] = {
    3: ("reset gate", "update gate", "new gate"),
    4: ("input gate", "forget gate", "cell gate", "output gate"),
}
"""Number of gates -> their order in torch.nn.GRU and torch.nn.LSTM."""

KERAS_GATES: dict[int, tuple[str, ...]] = {
    3: ("update gate", "reset gate", "new gate"),
    4: ("input gate", "forget gate", "cell gate", "output gate"),
}
"""Number of gates -> their order in Keras' GRU and LSTM."""


ONNX = re.compile(r"[WR](_reverse)?$")
"""Last part of the names that formats/onnx_file gives the weights of a recurrent operator."""

ONNX_GATES: dict[int, tuple[str, ...]] = {
    3: ("update gate", "reset gate", "new gate"),
    4: ("input gate", "output gate", "forget gate", "cell gate"),
}
"""Number of gates -> their order in ONNX' GRU (z r h) and LSTM (i o f c)."""


def recurrent(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """Gates of a recurrent layer's matrix; one part of type 'rnn' for a plain recurrence."""
    last = name.rpartition(".")[2]
    match = TORCH.match(last)
    if last in ("kernel", "recurrent_kernel") and len(shape) >= 2:
        inner = context.sibling_shape(name, "recurrent_kernel")
        if inner and len(inner) == len(shape):
            return _gates(shape, inner[1], KERAS_GATES)
    if len(shape) != 2:
        return None
    if ONNX.match(last):
        operator = name.split(".")[-2:-1]
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}.get(operator[0].partition("_")[0]) if operator else None
        return _gates(shape, shape[0] // gates, ONNX_GATES) if gates else None
    if match:
        layer = match[2] or ""
        inner = context.sibling_shape(name, f"weight_hh{layer}")
        projection = context.sibling_shape(name, f"weight_hr{layer}")
        units = projection[1] if projection and len(projection) == 2 else inner[1] if inner and len(inner) == 2 else 0
        return _gates(shape, units, TORCH_GATES)
    return None


def _gates(shape: tuple[int, ...], units: int, names: dict[int, tuple[str, ...]]) -> tuple[LayerPart, ...] | None:
    """Blocks of `units` rows as gates."""
    count, left = divmod(shape[0], units) if units else (0, 1)
    kind = "rnn" if len(shape) == 2 else f"conv{len(shape) - 2}d"
    if left or (count != 1 and count not in names):
        return None
    if count == 1:
        return (LayerPart("", kind, None),)
    return tuple(
        LayerPart(gate.replace(" ", "_"), kind, gate, (Take(0, number * units, (number + 1) * units),))
        for number, gate in enumerate(names[count])
    )
