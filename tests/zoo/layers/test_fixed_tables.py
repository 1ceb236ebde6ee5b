"""Tables that a real model keeps in its state dict and never trains are no layers; what it trains are all of them.

The oracle is transformers: which parameters ask for gradients, and which modules multiply or look up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from zoospectra.jobs.work.index import IndexRequest, index
from zoospectra.warehouse.identity import ModelId

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
}
FAMILIES: dict[str, tuple[dict[str, Any], int]] = {
    "Marian": ({"max_position_embeddings": 40}, 2),
    "Whisper": ({"max_source_positions": 40, "max_target_positions": 20, "num_mel_bins": 8}, 1),
}
"""Name -> its own settings, and how many tables of sinusoids it has."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_not_trained_is_no_layer(tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    options, count = FAMILIES[name]
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**SIZES, **options))
    torch.save(model.state_dict(), tmp_path / "x.pt")
    kinds = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Embedding)
    weights = {f"{path}.weight" for path, module in model.named_modules() if isinstance(module, kinds)}
    frozen = {path for path, value in model.named_parameters() if not value.requires_grad}
    assert len(frozen & weights) == count
    found = index(IndexRequest(ModelId("x", "1"), str(tmp_path / "x.pt")))
    assert {layer.ref.name for layer, _ in found.layers} == weights - frozen
    assert {str(skip.reason) for skip in found.skips if skip.tensor in frozen} == {"buffer"}
