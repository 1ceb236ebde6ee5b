"""Weights of transformer language models, from the numbers of their configurations."""

from __future__ import annotations

from dataclasses import dataclass

from zoospectra.analysis.cost import Cost, cost, several_large, with_one_thread


@dataclass(frozen=True, slots=True)
class Decoder:
    """Sizes of a LLaMA-like model: grouped keys and values, a gated MLP, two embeddings."""

    hidden: int
    """Width of the residual stream."""
    inner: int
    """Width of the MLP."""
    depth: int
    """Blocks."""
    kv: int
    """Width of keys, and of values."""
    vocabulary: int
    """Tokens."""

    def layers(self) -> list[tuple[int, int, int]]:
        """(rows, columns, how many) of its matrices."""
        return [
            (self.hidden, self.hidden, 2 * self.depth),
            (self.kv, self.hidden, 2 * self.depth),
            (self.inner, self.hidden, 3 * self.depth),
            (self.vocabulary, self.hidden, 2),
        ]


DECODERS = {
    "1B": Decoder(2048, 8192, 16, 512, 128256),
    "7B": Decoder(4096, 11008, 32, 4096, 32000),
    "8B": Decoder(4096, 14336, 32, 1024, 128256),
    "32B": Decoder(5120, 27648, 64, 1024, 152064),
    "70B": Decoder(8192, 28672, 80, 1024, 128256),
    "405B": Decoder(16384, 53248, 126, 1024, 128256),
}
"""Published configurations: Llama 3.2 1B, 2 7B, 3.1 8B, 70B, 405B and Qwen 2.5 32B."""


def costs(decoder: Decoder) -> list[tuple[Cost, int]]:
    """Cost of one matrix of each shape, stored in 2 bytes an element and planned as a scan does; how many there are."""
    several = several_large(min(a, b) for a, b, many in decoder.layers() for _ in range(many))
    priced = [(cost(max(a, b), min(a, b), 1, 2), many) for a, b, many in decoder.layers()]
    return [(with_one_thread(one) if several else one, many) for one, many in priced]
