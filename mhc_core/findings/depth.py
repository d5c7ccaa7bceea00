"""Findings on connections without mixing: the weights with which the last layer reads embedding and earlier outputs."""

from collections.abc import Sequence

import numpy as np

from mhc_core.findings.words import build_finding, count, format_percent
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding, Headline
from mhc_core.spec import RunSpec

EVEN = 1e-4  # weights whose relative difference is smaller are called the same


def build_depth_headline(result: Result, whose: str = "") -> Headline:
    """Build the headline: the largest share of one source in what the last layer reads. whose: a note on the seed."""
    shares = _read_shares(result)
    if shares is None:
        return Headline(label="largest share", value=None, log10=None, text="weights over depth unknown")
    share = float(shares.max())
    text = f"largest share {format_percent(share)}{whose}"
    return Headline(label="largest share", value=share, log10=float(np.log10(share)), text=text)


def describe_depth(spec: RunSpec, result: Result) -> Finding:
    """Describe what the last layer reads: the source with the largest share, compared with equal shares."""
    shares = _read_shares(result)
    if shares is None:
        text = f"The weights over depth are unknown, as {spec.dtype} overflows."
        return build_finding("connection", text, "unfolded", {})
    return _describe_shares(shares, read=np.ones(len(shares), dtype=bool))


def describe_captured_depth(result: Result) -> Finding:
    """Describe what the last layer of a recorded model reads. Outputs with a weight of 0 do not count as sources."""
    shares = _read_shares(result)
    if shares is None:
        return build_finding("connection", "The weights with which the last layer reads are unknown.", "unfolded", {})
    return _describe_shares(shares, shares != 0)


def describe_gated_reads(result: Result) -> Finding | None:
    """Describe layers whose weights over depth are unknown, because they do not read a weighted sum of earlier outputs;
    None if there are none.
    """
    lost = [flag for flag in result.status.get("unfolded", {}).values() if flag == "unknown"]
    if not lost:
        return None
    text = (
        f"In {len(lost)} of {count(result.depth, 'layer')} what is read is not a weighted sum of earlier outputs, for "
        "example because a gate with a value for each channel follows: the weights over depth are unknown there."
    )
    return build_finding("reading", text, "unfolded", {"layers_unknown": len(lost)})


def describe_several_reads(several: Sequence[int], depth: int) -> Finding | None:
    """Describe layers that read several sums of earlier outputs, such as one for each input of attention; None if there
    are none.

    several: the layers, from 0.
    """
    if not several:
        return None
    text = (
        f"{len(several)} of {count(depth, 'layer')} read several sums of earlier outputs, such as one each for query, "
        "key and value of attention. Shown are the mean of these sums and of their weights."
    )
    return build_finding("several_reads", text, "unfolded", {"layers_several": len(several)})


def _describe_shares(shares: np.ndarray, read: np.ndarray) -> Finding:
    """Describe the shares (L) of the embedding and of all earlier outputs. `read` marks those that count as sources."""
    place, outputs, sources = int(shares.argmax()), len(shares), int(read.sum())
    numbers = {"share_max": float(shares[place]), "share_even": 1 / sources, "source": place}
    reads = f"Layer {outputs} reads the embedding and {count(outputs - 1, 'output')}"
    if sources < outputs:
        embedding = "the embedding and " if read[0] else ""
        reads = f"Layer {outputs} reads {embedding}{int(read[1:].sum())} of {count(outputs - 1, 'earlier output')}"
    if outputs == 1:
        text = "The only layer reads the embedding alone."
    elif np.ptp(shares[read]) < EVEN * shares.max():
        text = f"{reads} with the same weight: {format_percent(1 / sources)} each."
    else:
        name = "the embedding" if place == 0 else f"the output of layer {place}"
        text = (
            f"{reads}; {name} has the largest share, {format_percent(shares[place])}, where an even share is "
            f"{format_percent(1 / sources)}."
        )
    return build_finding("connection", text, "unfolded", numbers)


def _read_shares(result: Result) -> np.ndarray | None:
    """Return the magnitudes of the last layer's weights, divided by their sum, (L); None if they are not finite."""
    weights: np.ndarray = np.abs(result.matrices["unfolded"][-1, :-1].astype(np.float64))
    return weights / weights.sum() if np.isfinite(weights).all() else None
