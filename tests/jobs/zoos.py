"""Small zoos of real files, made on the spot."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file


def weights(seed: int, width: int = 64) -> dict[str, torch.Tensor]:
    """A small net's state dict: heavy-tailed enough to be fitted, with everything a scan must tell apart."""
    generator = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> torch.Tensor:
        scale = torch.exp(torch.randn(shape[1], *(1 for _ in shape[2:]), generator=generator))
        return torch.randn(*shape, generator=generator) * scale * 0.1

    return {
        "embed.weight": matrix(100, width),
        "features.0.weight": matrix(width, 16, 3, 3),
        "features.0.bias": torch.randn(width, generator=generator),
        "features.1.running_mean": torch.randn(width, generator=generator),
        "features.1.num_batches_tracked": torch.tensor(7),
        "fc1.weight": matrix(2 * width, width),
        "fc1.bias": torch.randn(2 * width, generator=generator),
        "fc2.weight": matrix(10, 2 * width),
    }


def make_zoo(folder: Path, models: int = 4, width: int = 64) -> Path:
    """A folder of safetensors files with a catalog: two series, one metric."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,series,dataset,metric,value,higher_is_better,source,licence,note"]
    for number in range(models):
        save_file(weights(number, width), folder / f"net{number}.safetensors")
        series = "even" if number % 2 == 0 else "odd"
        lines.append(f"net{number}.safetensors,{series},toy,top1_error,{10 + number},false,test,MIT,")
    (folder / "catalog.csv").write_text("\n".join(lines) + "\n")
    return folder
