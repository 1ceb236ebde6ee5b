"""Constants of frozen TorchScript: which operator a tensor is the weight of, by the code beside it, which is not run.

torch.jit.freeze leaves no parameters: the code says `torch.linear(x, CONSTANTS.c3, CONSTANTS.c4)`, and constants.pkl
is the list of tensors. They are named after their operator: 'linear_3.weight', 'embedding_0.weight'. Constants that no
such operator takes (masks, tables, what is added) keep the name 'constants.c5'.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence

from zoospectra.zoo.checkpoint.formats.pickled import Inert, Refused, Tensor

MAX_CODE = 16 << 20
"""Most letters of code that are looked at."""

WEIGHTS: dict[str, int] = {
    "linear": 1,
    "matmul": 1,
    "mm": 1,
    "bmm": 1,
    "addmm": 2,
    "_convolution": 1,
    "conv1d": 1,
    "conv2d": 1,
    "conv3d": 1,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
    "embedding": 0,
    "embedding_bag": 0,
}
"""Operator -> number of its argument that is the weight."""

TOKEN = re.compile(
    r"(?P<call>[\w.]+)?\(|(?P<close>\))|(?P<comma>,)|(?P<open>\[)|(?P<shut>\])|CONSTANTS\.c(?P<number>\d+)"
)

FLAT = re.compile(r"(\w+) = \[((?:CONSTANTS\.c\d+(?:, )?)+)\]")
"""The list of weights that a recurrent layer is called with."""


def with_constants(root: object, held: object, archive: zipfile.ZipFile, folder: str) -> object:
    """What a module's pickle holds, and beside it the tensors of constants.pkl; as it is when there are none."""
    tensors = {
        number: tensor
        for number, tensor in enumerate(held if isinstance(held, (tuple, list)) else ())
        if isinstance(tensor, (Tensor, Refused))
    }
    if not tensors:
        return root
    names = names_of(_code(archive, folder), {n: len(t.shape) for n, t in tensors.items() if isinstance(t, Tensor)})
    state = root.state if isinstance(root, Inert) else root
    own: dict[object, object] = dict(state) if isinstance(state, dict) else {}
    for number, tensor in tensors.items():
        own[names.get(number, f"constants.c{number}")] = tensor
    return own


def _code(archive: zipfile.ZipFile, folder: str) -> str:
    """The code of all classes, as far as it is short enough to be looked at."""
    infos = [info for info in archive.infolist() if info.filename.startswith(f"{folder}code/")]
    sources = [info for info in infos if info.filename.endswith(".py")]
    if sum(info.file_size for info in sources) > MAX_CODE:
        return ""
    return "\n".join(archive.read(info).decode("utf-8", "replace") for info in sources)


def names_of(code: str, dims: Mapping[int, int]) -> dict[int, str]:
    """Names of the constants that are weights, by their number; dims: axes of every constant."""
    names: dict[int, str] = {}
    for number, operator, argument in _arguments(code):
        if WEIGHTS.get(operator) == argument:
            names.setdefault(number, f"{operator}_{number}.weight")
    for variable, listed in FLAT.findall(code):
        if re.search(rf"torch\.(lstm|gru|rnn_\w+)\([^\n]*\b{re.escape(variable)}\b", code):
            numbers = [int(number) for number in re.findall(r"\d+", re.sub(r"CONSTANTS\.c", " ", listed))]
            both = re.search(rf"\b{re.escape(variable)}, \w+, \d+, [\d.]+, \w+, True", code) is not None
            module = variable.removeprefix("self_").removesuffix("__flat_weights")
            names |= {n: f"{module}.{own}" for n, own in _recurrent([(n, dims.get(n, 0)) for n in numbers], both)}
    return names


def _recurrent(weights: Sequence[tuple[int, int]], both: bool) -> Iterator[tuple[int, str]]:
    """Names that torch has for a recurrent layer's weights: two matrices, maybe two biases, a layer and direction."""
    each = 4 if len(weights) > 2 and weights[2][1] == 1 else 2
    for place, (number, _) in enumerate(weights):
        cell, kind = divmod(place, each)
        layer, end = (cell // 2, "_reverse" if cell % 2 else "") if both else (cell, "")
        yield number, f"{('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')[kind]}_l{layer}{end}"


def _arguments(code: str) -> Iterator[tuple[int, str, int]]:
    """Constants that are arguments: (number, operator that takes it, which of its arguments it is)."""
    calls: list[list[object]] = []
    for token in TOKEN.finditer(code):
        if token["close"] or token["shut"]:
            if calls:
                calls.pop()
        elif token["comma"]:
            if calls:
                calls[-1][1] = int(str(calls[-1][1])) + 1
        elif token["number"]:
            if calls:
                yield int(token["number"]), str(calls[-1][0]), int(str(calls[-1][1]))
        else:
            name = token["call"] or ""
            calls.append([name.removeprefix("torch.") if name.startswith("torch.") else "", 0])
