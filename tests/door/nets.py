"""Ten modules, tiny and large, for tests of the door against WeightWatcher."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Attention(nn.Module):
    """A block with names as transformers have them, and a tied head."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(words, width)
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, words, bias=False)
        self.lm_head.weight = self.embed_tokens.weight


def heavy(net: nn.Module) -> nn.Module:
    """The net with columns of unequal size, so that its spectra have tails."""
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.mul_(torch.exp(torch.randn(weight.shape[1], *(1 for _ in weight.shape[2:]))))
    return net


NETS: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 10)),
    "dense large": lambda: nn.Sequential(nn.Linear(900, 700)),
    "dense tiny": lambda: nn.Sequential(nn.Linear(9, 8), nn.Linear(8, 3)),
    "conv": lambda: nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 32, 1), nn.Conv2d(32, 32, 5)),
    "conv large": lambda: nn.Sequential(nn.Conv2d(128, 160, 3)),
    "conv in groups": lambda: nn.Sequential(nn.Conv2d(32, 48, 3, groups=4), nn.ConvTranspose2d(16, 24, 3)),
    "lstm": lambda: nn.Sequential(nn.LSTM(40, 50, bidirectional=True), nn.GRU(40, 30), nn.Linear(50, 40)),
    "attention": lambda: nn.Sequential(nn.MultiheadAttention(64, 4), nn.TransformerEncoderLayer(48, 4, 96)),
    "attention large": lambda: Attention(256, 600),
    "random": lambda: nn.Sequential(nn.Linear(200, 300), nn.Conv1d(64, 80, 1), nn.Embedding(300, 32)),
}
"""Name -> module; all but `random` are made heavy."""


def net(name: str) -> nn.Module:
    """A module of the table, the same at every call."""
    torch.manual_seed(7)
    made = NETS[name]()
    return made if name == "random" else heavy(made)
