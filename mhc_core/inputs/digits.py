"""What enters a stack, bytes of a text, Gaussian vectors or images of digits, and the read-out that turns its output
into a loss.

Shapes: B sequences, T tokens, C width, V = 256 byte values, K = 10 digits.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.rng import integers, normal
from mhc_core.spec import RunSpec

VOCABULARY = 256
DIGITS, PIXELS, WHITE = 10, 64, 16


class TextInput(nn.Module):
    """UTF-8 bytes through an embedding; the loss is next-byte cross-entropy in nats.

    Windows of T + 1 bytes start at evenly spaced places, so that a long text is seen from start to end. A text shorter
    than one window is repeated; `describe_input` says how often. Token positions are not encoded: the causal mask alone
    tells attention where it stands.
    """

    ids_BT: torch.Tensor
    targets_BT: torch.Tensor

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.seed, self.batch, self.window = spec.seed, spec.input.batch, spec.input.tokens + 1
        self.bytes = np.frombuffer(spec.input.text.encode(), dtype=np.uint8)
        width = spec.width
        self.embedding_VC = nn.Parameter(normal(spec.seed, "embedding", -1, VOCABULARY, width))
        self.readout_VC = nn.Parameter(normal(spec.seed, "readout", -1, VOCABULARY, width) / width**0.5)
        self.register_buffer("ids_BT", None)
        self.register_buffer("targets_BT", None)
        self.set_batch(None)

    def set_batch(self, step: int | None) -> None:
        """Read the windows of a training step, drawn from all places of the text, or of None, which is measured."""
        last_start = max(len(self.bytes) - self.window, 0)
        if step is None:
            starts = np.linspace(0, last_start, self.batch).astype(np.int64)
        else:
            starts = integers(self.seed, "training_windows", step, last_start + 1, self.batch)
        places = (starts[:, None] + np.arange(self.window)) % len(self.bytes)
        windows = torch.from_numpy(self.bytes[places].astype(np.int64)).to(self.embedding_VC.device)
        self.ids_BT, self.targets_BT = windows[:, :-1], windows[:, 1:]

    def forward(self) -> torch.Tensor:
        """Embedded tokens, (B, T, C)."""
        return F.embedding(self.ids_BT, self.embedding_VC)

    def loss(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the next byte, in nats, at least in float32."""
        logits = out_BTC @ self.readout_VC.T
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return F.cross_entropy(logits.flatten(0, 1), self.targets_BT.flatten())


class GaussianInput(nn.Module):
    """N(0, 1) vectors, independent over tokens; the loss is a fixed random linear read-out of the output."""

    x_BTC: torch.Tensor
    readout_BTC: torch.Tensor

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        shape = (spec.input.batch, spec.input.tokens, spec.width)
        self.register_buffer("x_BTC", normal(spec.seed, "gaussian_input", -1, *shape))
        self.register_buffer("readout_BTC", normal(spec.seed, "gaussian_readout", -1, *shape))

    def set_batch(self, step: int | None) -> None:
        """Vectors come in one batch, which is measured: their loss is unbounded below, so the spec trains on none."""
        assert step is None, "a spec that trains on vectors is refused"

    def forward(self) -> torch.Tensor:
        """The vectors, (B, T, C)."""
        return self.x_BTC

    def loss(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """sum(R * out) / (B T): linear, so the gradient that enters the stack has rms 1 / (B T)."""
        tokens = out_BTC.shape[0] * out_BTC.shape[1]
        return (out_BTC * self.readout_BTC).sum() / tokens


class CorrelatedInput(GaussianInput):
    """N(0, 1) vectors of which every two have correlation c: sqrt(c) z + sqrt(1 - c) z_t, z common to all tokens."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        common = normal(spec.seed, "correlated_input", -1, spec.width)
        share = spec.input.correlation
        self.x_BTC = share**0.5 * common + (1 - share) ** 0.5 * self.x_BTC


class DigitsInput(nn.Module):
    """Handwritten digits, a token for each of 8 x 8 pixels; the loss is the cross-entropy of the digit, in nats.

    A token is its pixel, 0 to 1, times a vector, plus an embedding of its place. B different images are drawn by the
    seed from the 1797 that scikit-learn carries.
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
        """Read the images of a training step, drawn from all of them, or of None, which are measured."""
        images, labels = _load_digits()
        drawn = pick_images(self.seed, self.batch)
        if step is not None:
            drawn = integers(self.seed, "training_images", step, len(images), self.batch)
        device = self.pixel_C.device
        self.pixels_BT = torch.from_numpy(images[drawn] / WHITE).to(device, self.pixel_C.dtype)
        self.targets_B = torch.from_numpy(labels[drawn]).to(device)

    def forward(self) -> torch.Tensor:
        """Embedded pixels, (B, T, C)."""
        return self.pixels_BT.unsqueeze(2) * self.pixel_C + self.place_TC

    def loss(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the image's digit, read from the mean over its tokens, at least in float32."""
        logits = out_BTC.mean(1) @ self.readout_KC.T
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return F.cross_entropy(logits, self.targets_B)


INPUTS: dict[str, type[TextInput] | type[GaussianInput] | type[DigitsInput]] = {
    "text": TextInput,
    "gaussian": GaussianInput,
    "correlated": CorrelatedInput,
    "digits": DigitsInput,
}


def build_input(spec: RunSpec) -> TextInput | GaussianInput | DigitsInput:
    """The input module that the spec names."""
    return INPUTS[spec.input.kind](spec)


def describe_input(spec: RunSpec) -> dict[str, Any]:
    """The kind; for a text also its bytes, the bytes read, and how often a text shorter than a window was repeated; for
    digits the data, their licence, which images and what they show."""
    if spec.input.kind == "digits":
        return {"kind": "digits", **_describe_digits(spec)}
    if spec.input.kind != "text":
        return {"kind": spec.input.kind}
    total, window = len(spec.input.text.encode()), spec.input.tokens + 1
    return {
        "kind": "text",
        "bytes": total,
        "bytes_used": min(total, spec.input.batch * window),
        "repeated": max(1.0, window / total),
    }


def _describe_digits(spec: RunSpec) -> dict[str, Any]:
    images, labels = _load_digits()
    drawn = pick_images(spec.seed, spec.input.batch)
    return {
        "dataset": "Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998), test set, from scikit-learn",
        "licence": "CC BY 4.0 (UCI Machine Learning Repository)",
        "images": len(images),
        "drawn": drawn.tolist(),
        "digits": labels[drawn].tolist(),
    }


def pick_images(seed: int, batch: int) -> np.ndarray:
    """Which images a run reads, (B): no image twice."""
    order = np.argsort(normal(seed, "digits", -1, len(_load_digits()[1])).numpy(), kind="stable")
    return order[:batch]


@cache
def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 64) of values 0 to 16, row by row, and the digits that they show, (1797)."""
    # Here, not above: it takes a second, and no other input needs it.
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images, labels.astype(np.int64)
