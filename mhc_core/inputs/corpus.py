"""The corpus: 1.1 MB of Shakespeare's plays. `corpus.md` says where it comes from."""

import lzma
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.spec import RunSpec

TEXT = Path(__file__).with_name("corpus.txt.xz")
HELD_OUT = 0.1  # share of the text, at its end, that training never reads


@cache
def load_corpus() -> tuple[np.ndarray, np.ndarray]:
    """Load the bundled text: the bytes that training reads, and the bytes after them, which only measurements read."""
    data = np.frombuffer(lzma.decompress(TEXT.read_bytes()), dtype=np.uint8)
    split = len(data) - int(HELD_OUT * len(data))
    return data[:split], data[split:]


def describe_corpus(spec: RunSpec) -> dict[str, Any]:
    """Describe the bundled text: its licence, the bytes of both parts, and those that a measured pass reads."""
    training, held_out = load_corpus()
    return {
        "kind": "corpus",
        "dataset": "Tiny Shakespeare, from github.com/karpathy/char-rnn",
        "licence": "public domain",
        "training_bytes": len(training),
        "held_out_bytes": len(held_out),
        "bytes_used": spec.input.batch * (spec.input.tokens + 1),
    }
