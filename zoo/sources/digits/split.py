"""Training and test images: a fixed, seeded split of scikit-learn's 8x8 digits, with label noise on the training side.

The images are the test half of UCI's "Optical Recognition of Handwritten Digits": 1797 images, pixels 0..16. They come
with scikit-learn: nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from zoospectra.zoo.sources.digits.population import TrainingSettings

PIXEL_MAX = 16
CLASSES = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Images and labels of both sides."""

    train_x: NDArray[np.float32]
    """Training images of shape (train_images, 64), pixels 0..1."""
    train_y: NDArray[np.int64]
    """Training labels of shape (train_images,), a fraction of them wrong on purpose."""
    test_x: NDArray[np.float32]
    """Test images of shape (1797 - train_images, 64), pixels 0..1."""
    test_y: NDArray[np.int64]
    """Test labels, all true."""


def make_split(settings: TrainingSettings) -> Split:
    """Split the digits; equal settings give equal arrays. Raises ValueError when no image would be left for testing."""
    images, labels = load_digits(return_X_y=True)
    n = settings.train_images
    if not 0 < n < len(images):
        msg = f"train_images must be between 1 and {len(images) - 1} (the rest is the test set), got {n}"
        raise ValueError(msg)
    # RandomState, not Generator: numpy promises to keep its streams the same in all versions.
    random = np.random.RandomState(settings.split_seed)
    order = random.permutation(len(images))
    x = (images / PIXEL_MAX).astype(np.float32)[order]
    y = labels.astype(np.int64)[order]
    wrong = random.permutation(n)[: round(settings.label_noise * n)]
    train_y = y[:n].copy()
    train_y[wrong] = (train_y[wrong] + random.randint(1, CLASSES, size=len(wrong))) % CLASSES
    return Split(x[:n], train_y, x[n:], y[n:])
