"""The inputs of a stack (bytes of a text or of the corpus, Gaussian vectors, images of digits), and the read-out and
loss that belong to each.
"""

from typing import Any

from mhc_core.inputs.corpus import describe_corpus
from mhc_core.inputs.digits import DigitsEmbedding, describe_digits
from mhc_core.inputs.text import TextEmbedding, describe_text
from mhc_core.inputs.vectors import CorrelatedInput, GaussianInput
from mhc_core.spec import RunSpec

__all__ = ["CorrelatedInput", "DigitsEmbedding", "GaussianInput", "TextEmbedding", "build_input", "describe_input"]

INPUTS: dict[str, type[TextEmbedding] | type[GaussianInput] | type[DigitsEmbedding]] = {
    "text": TextEmbedding,
    "corpus": TextEmbedding,
    "gaussian": GaussianInput,
    "correlated": CorrelatedInput,
    "digits": DigitsEmbedding,
}


def build_input(spec: RunSpec) -> TextEmbedding | GaussianInput | DigitsEmbedding:
    """Build the module of a spec's input. It computes the embedding, the logits of the read-out, and the loss."""
    return INPUTS[spec.input.kind](spec)


def describe_input(spec: RunSpec) -> dict[str, Any]:
    """Describe the input of a run for its start frame: its kind, the bytes of a text that are read, the source and
    licence of data.
    """
    if spec.input.kind == "digits":
        return describe_digits(spec)
    if spec.input.kind == "corpus":
        return describe_corpus(spec)
    if spec.input.kind == "text":
        return describe_text(spec)
    return {"kind": spec.input.kind}
