"""scikit-learn's 1,797 handwritten digits as PNG files, with labels to hide and reveal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .hidden import HiddenLabels

N_TEST = 497
_SPLIT_SEED = 0
_PIXELS_PER_DOT = 8  # 8 x 8 dots become 64 x 64 pixels, which a person can look at


def load_digits() -> HiddenLabels:
    """The digits in a fixed random split: 1,300 for the pool, 497 to test on.

    References:
        E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, doi:10.24432/C50P49.
    """
    from sklearn.datasets import load_digits as load  # loads scikit-learn, which takes a second  # noqa: PLC0415

    data = load()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(data.target))
    pool, test = order[N_TEST:], order[:N_TEST]
    features, labels = data.data / 16.0, data.target.astype(np.int64)
    names = tuple(f"digit_{row:04d}.png" for row in range(len(pool)))
    return HiddenLabels(names, features[pool], labels[pool], features[test], labels[test])


def write_images(digits: HiddenLabels, folder: Path) -> None:
    """Write the pool to `folder/pool` and the test set to `folder/test`, one PNG file a digit."""
    tests = tuple(f"test_{row:04d}.png" for row in range(len(digits.test_labels)))
    for subfolder, names, features in (
        ("pool", digits.item_ids, digits.features),
        ("test", tests, digits.test_features),
    ):
        (folder / subfolder).mkdir(parents=True, exist_ok=True)
        dots = np.round(255 * features).astype(np.uint8).reshape(-1, 8, 8)
        pixels = np.kron(dots, np.ones((1, _PIXELS_PER_DOT, _PIXELS_PER_DOT), dtype=np.uint8))
        for name, image in zip(names, pixels):
            Image.fromarray(image).save(folder / subfolder / name)
