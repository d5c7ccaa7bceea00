"""The corpus: 1.1 MB of Shakespeare's plays. `corpus.md` says where it comes from."""

import lzma
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.spec import RunSpec

TEXT = Path(__file__).with_name("corpus.txt.xz")
HELD_OUT = 0.1  # fraction of the text, at its end, that is not used in training


@cache
def load_corpus() -> tuple[np.ndarray, np.ndarray]:
    """Load the corpus in two parts: bytes for training, and the bytes after them, which are only for measurements."""
    data = np.frombuffer(lzma.decompress(TEXT.read_bytes()), dtype=np.uint8)
    split = len(data) - int(HELD_OUT * len(data))
    return data[:split], data[split:]


def describe_corpus(spec: RunSpec) -> dict[str, Any]:
    """Describe the corpus: its licence, the number of bytes of both parts, and of those that a measured pass reads."""
    training, held_out = load_corpus()
    return {
        "kind": "corpus",
        "dataset": "Tiny Shakespeare, from github.com/karpathy/char-rnn",
        "licence": "public domain",
        "training_bytes": len(training),
        "held_out_bytes": len(held_out),
        "bytes_used": spec.input.batch * (spec.input.tokens + 1),
    }
