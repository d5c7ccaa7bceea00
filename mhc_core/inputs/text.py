"""The inputs `text` and `corpus`: bytes as tokens, and the read-out that predicts the next byte.

Shapes: B sequences, T tokens, C width, V = 256 byte values.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.inputs.corpus import load_corpus
from mhc_core.rng import integers, normal
from mhc_core.spec import RunSpec

VOCABULARY = 256


class TextEmbedding(nn.Module):
    """Embeds UTF-8 bytes. The loss is the cross-entropy of the next byte, in nats.

    A measured pass reads windows of T + 1 bytes at evenly spaced positions, which cover a long text from start to end.
    A text shorter than one window is repeated; `describe_input` says how often. A training step reads windows at random
    positions of the text, or of the part of the corpus that is not measured. Token positions are not encoded:
    attention knows them only through the causal mask.
    """

    ids_BT: torch.Tensor
    targets_BT: torch.Tensor

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.seed, self.batch, self.window = spec.seed, spec.input.batch, spec.input.tokens + 1
        self.training_bytes, self.measured_bytes = read_bytes(spec)
        width = spec.width
        self.embedding_VC = nn.Parameter(normal(spec.seed, "embedding", -1, VOCABULARY, width))
        self.readout_VC = nn.Parameter(normal(spec.seed, "readout", -1, VOCABULARY, width) / width**0.5)
        self.register_buffer("ids_BT", None)
        self.register_buffer("targets_BT", None)
        self.set_batch(None)

    def set_batch(self, step: int | None) -> None:
        """Choose the windows of text for the next pass: those of a training step, or, for None, the measured ones."""
        data = self.measured_bytes if step is None else self.training_bytes
        last_start = max(len(data) - self.window, 0)
        if step is None:
            starts = spread_starts(last_start, self.batch)
        else:
            starts = integers(self.seed, "training_windows", step, last_start + 1, self.batch)
        self.read_data(data, starts)

    def read_data(self, data: np.ndarray, starts: np.ndarray) -> None:
        """Use B windows of these bytes, which begin at `starts`, in the next pass."""
        windows = torch.from_numpy(_cut_windows(data, starts, self.window)).to(self.embedding_VC.device)
        self.ids_BT, self.targets_BT = windows[:, :-1], windows[:, 1:]

    def forward(self) -> torch.Tensor:
        """Return the embedded bytes of the current windows, (B, T, C)."""
        return F.embedding(self.ids_BT, self.embedding_VC)

    def read_out(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next byte, (B, T, V); float64, or else float32."""
        logits = out_BTC @ self.readout_VC.T
        return logits if logits.dtype == torch.float64 else logits.float()

    def loss(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of the next byte, in nats, from the stack's output (B, T, C)."""
        return F.cross_entropy(self.read_out(out_BTC).flatten(0, 1), self.targets_BT.flatten())


def read_bytes(spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes for training, and those for measurements. They are the same, except in the corpus."""
    if spec.input.kind == "corpus":
        return load_corpus()
    data = np.frombuffer(spec.input.text.encode(), dtype=np.uint8)
    return data, data


def compute_same_byte_fraction(spec: RunSpec) -> float:
    """Return the fraction of pairs of positions, of all windows, that have the same byte and so the same embedding."""
    (_, data), window = read_bytes(spec), spec.input.tokens + 1
    starts = spread_starts(max(len(data) - window, 0), spec.input.batch)
    counts = np.bincount(_cut_windows(data, starts, window)[:, :-1].ravel()).astype(float)
    total = counts.sum()
    return float((counts * (counts - 1)).sum() / (total * (total - 1)))


def spread_starts(last_start: int, count: int) -> np.ndarray:
    """Return the starts of `count` windows: evenly spaced positions from 0 to `last_start`."""
    return np.linspace(0, last_start, count).astype(np.int64)


def _cut_windows(data: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    """Return a window of bytes from each start, (B, window). After the end of the text, its beginning follows."""
    places = (starts[:, None] + np.arange(window)) % len(data)
    return data[places].astype(np.int64)


def describe_text(spec: RunSpec) -> dict[str, Any]:
    """Describe the text: its number of bytes, the number that is read, and how often a short text is repeated."""
    total, window = len(spec.input.text.encode()), spec.input.tokens + 1
    return {
        "kind": "text",
        "bytes": total,
        "bytes_used": min(total, spec.input.batch * window),
        "repeated": max(1.0, window / total),
    }
