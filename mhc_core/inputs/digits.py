"""Images of handwritten digits, with one token per pixel, and the read-out of the digit. `digits.md` has their source.

Shapes: B images, T = 64 pixels, C width, K = 10 digits.
"""

import io
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.rng import integers, normal
from mhc_core.spec import RunSpec

DIGITS, PIXELS, WHITE = 10, 64, 16
IMAGES = Path(__file__).with_name("digits.npz.xz")


class DigitsEmbedding(nn.Module):
    """The input of handwritten digits: one token for each of 8 x 8 pixels. The loss is the cross-entropy of the digit,
    in nats.

    A token is the value of its pixel, 0 to 1, times a vector, plus an embedding of its position. The seed selects B
    different images from 1797.
    """

    pixels_BT: torch.Tensor
    targets_B: torch.Tensor

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.seed, self.batch = spec.seed, spec.input.batch
        self.register_buffer("pixels_BT", None)
        self.register_buffer("targets_B", None)
        self.pixel_C = nn.Parameter(normal(spec.seed, "pixel_embedding", -1, spec.width))
        self.place_TC = nn.Parameter(normal(spec.seed, "place_embedding", -1, PIXELS, spec.width))
        self.readout_KC = nn.Parameter(normal(spec.seed, "digits_readout", -1, DIGITS, spec.width) / spec.width**0.5)

        self.set_batch(None)

    def set_batch(self, step: int | None) -> None:
        """Choose the images of the next pass: those of a training step, or, for None, the measured ones."""
        images, labels = load_digits()
        drawn = pick_images(self.seed, self.batch)
        if step is not None:
            drawn = integers(self.seed, "training_images", step, len(images), self.batch)
        self.read_data(images[drawn], labels[drawn])

    def read_data(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Use these images (B, 64) with values 0 to 16, and their digits, in the next pass."""
        device = self.pixel_C.device
        self.pixels_BT = torch.from_numpy(images / WHITE).to(device, self.pixel_C.dtype)
        self.targets_B = torch.from_numpy(labels).to(device)

    def forward(self) -> torch.Tensor:
        """Return the embedded pixels of the current images, (B, T, C)."""
        return self.pixels_BT.unsqueeze(2) * self.pixel_C + self.place_TC

    def read_out(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Return the logits of each image's digit, (B, K), from the mean of its tokens; float64, or else float32."""
        logits = out_BTC.mean(1) @ self.readout_KC.T
        return logits if logits.dtype == torch.float64 else logits.float()

    def loss(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of the images' digits, in nats, from the stack's output (B, T, C)."""
        return F.cross_entropy(self.read_out(out_BTC), self.targets_B)


def describe_digits(spec: RunSpec) -> dict[str, Any]:
    """Describe the data: their source and licence, the images that are read, and their digits."""
    images, labels = load_digits()
    drawn = pick_images(spec.seed, spec.input.batch)
    return {
        "kind": "digits",
        "dataset": "Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998), test set, from scikit-learn",
        "licence": "CC BY 4.0 (UCI Machine Learning Repository)",
        "images": len(images),
        "drawn": drawn.tolist(),
        "digits": labels[drawn].tolist(),
    }


def pick_images(seed: int, batch: int) -> np.ndarray:
    """Return the indices of the images that a run measures, (B), all different."""
    order = np.argsort(normal(seed, "digits", -1, len(load_digits()[1])).numpy(), kind="stable")
    return order[:batch]


@cache
def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Load all images (1797, 64), row by row with values 0 to 16, and their digits (1797)."""
    with lzma.open(IMAGES) as packed, np.load(io.BytesIO(packed.read()), allow_pickle=False) as stored:
        pixels, digits = stored["pixels"].astype(np.float64), stored["digits"].astype(np.int64)
    images = np.empty(pixels.T.shape)
    images[np.argsort(digits, kind="stable")] = pixels.T
    return images, digits
