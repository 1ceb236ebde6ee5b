"""The two families of networks, as ordinary torch modules: 'features', then a 'classifier' (dropout, ten-class head).

No normalisation layers: the scale of the weights then means something, as in the contest's VGG-like task.
"""

from __future__ import annotations

import torch
from torch import nn

from zoospectra.zoo.sources.digits.population import Recipe

SIDE = 8
CLASSES = 10


class Network(nn.Module):
    """Features, flattened, then the classifier."""

    def __init__(self, shape: tuple[int, ...], features: list[nn.Module], classifier: list[nn.Module]) -> None:
        super().__init__()
        self.shape = shape
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, 10) for images of shape (n, 64)."""
        features = self.features(images.reshape(-1, *self.shape))
        logits: torch.Tensor = self.classifier(features.flatten(1))
        return logits


def _mlp(recipe: Recipe) -> Network:
    """Dense layers of one width, dropout before the head only; hidden matrices of 64 x width and width x width."""
    features: list[nn.Module] = []
    size = SIDE * SIDE
    for _ in range(recipe.depth):
        features += [nn.Linear(size, recipe.width), nn.ReLU()]
        size = recipe.width
    return Network((SIDE * SIDE,), features, [nn.Dropout(recipe.dropout), nn.Linear(size, CLASSES)])


def _conv(recipe: Recipe) -> Network:
    """A strided 3x3 stem from one channel (nine vectors: nine eigenvalues in all), 3x3 convolutions on 4x4, pooling.

    Dropout is before the head only, as in VGG.
    """
    features: list[nn.Module] = [nn.Conv2d(1, recipe.width, 3, stride=2, padding=1), nn.ReLU()]
    for _ in range(recipe.depth - 1):
        features += [nn.Conv2d(recipe.width, recipe.width, 3, padding=1), nn.ReLU()]
    features.append(nn.AvgPool2d(2))
    return Network((1, SIDE, SIDE), features, [nn.Dropout(recipe.dropout), nn.Linear(4 * recipe.width, CLASSES)])


FAMILIES = {"mlp": _mlp, "conv": _conv}


def build_network(recipe: Recipe) -> Network:
    """A network with scaled He-normal weights and zero biases; ValueError for an unknown family."""
    if recipe.family not in FAMILIES or recipe.depth < 1:
        msg = (
            f"family must be one of {sorted(FAMILIES)} with depth >= 1, got {recipe.family!r} with depth {recipe.depth}"
        )
        raise ValueError(msg)
    network = FAMILIES[recipe.family](recipe)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            module.weight.data.mul_(recipe.init_scale)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
