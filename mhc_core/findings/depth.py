"""Findings on attention over depth: how evenly the last layer reads the embedding and earlier outputs."""

import numpy as np

from mhc_core.findings.words import build_finding, count, format_percent
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding, Headline
from mhc_core.spec import RunSpec

EVEN = 1e-4  # relative difference of weights that are called the same


def build_depth_headline(spec: RunSpec, result: Result) -> Headline:
    """Build the headline: the largest share of one source in what the last layer reads; of several seeds, the first."""
    shares = _read_shares(result)
    if shares is None:
        return Headline(label="largest share", value=None, log10=None, text="weights over depth unknown")
    value, whose = float(shares.max()), "" if spec.seeds == 1 else f" (seed {spec.seed})"
    text = f"largest share {format_percent(value)}{whose}"
    return Headline(label="largest share", value=value, log10=float(np.log10(value)), text=text)


def describe_depth(spec: RunSpec, result: Result) -> Finding:
    """Describe what the last layer reads: which source has the largest weight, and what it is if all are equal."""
    shares = _read_shares(result)
    if shares is None:
        text = f"The weights over depth are unknown, as {spec.dtype} overflows."
        return build_finding("connection", text, "unfolded", {})
    place, outputs = int(shares.argmax()), len(shares)
    numbers = {"share_max": float(shares[place]), "share_even": 1 / outputs, "source": place}
    reads = f"Layer {outputs} reads the embedding and {count(outputs - 1, 'output')}"
    if outputs == 1:
        text = "The only layer reads the embedding alone."
    elif np.ptp(shares) < EVEN * shares.max():
        text = f"{reads} with the same weight: {format_percent(1 / outputs)} each."
    else:
        name = "the embedding" if place == 0 else f"the output of layer {place}"
        text = (
            f"{reads}; {name} has the largest share, {format_percent(shares[place])}, where an even share is "
            f"{format_percent(1 / outputs)}."
        )
    return build_finding("connection", text, "unfolded", numbers)


def _read_shares(result: Result) -> np.ndarray | None:
    """Read the weights of the last layer over their sum (L); None if they are not finite."""
    weights: np.ndarray = result.matrices["unfolded"][-1, :-1].astype(np.float64)
    return weights / weights.sum() if np.isfinite(weights).all() else None
