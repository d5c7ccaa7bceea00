"""What enters a stack, bytes of a text or the corpus, Gaussian vectors or images of digits, and the read-out that
turns its output into a loss."""

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
    """Build the input module that the spec names: it makes the embedding, reads out logits and computes the loss."""
    return INPUTS[spec.input.kind](spec)


def describe_input(spec: RunSpec) -> dict[str, Any]:
    """Describe the input of a run for its start frame: kind, how much of a text is read, source and licence of data."""
    if spec.input.kind == "digits":
        return describe_digits(spec)
    if spec.input.kind == "corpus":
        return describe_corpus(spec)
    if spec.input.kind == "text":
        return describe_text(spec)
    return {"kind": spec.input.kind}
