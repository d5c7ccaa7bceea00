"""Describe the static mixing of a checkpoint in sentences, with the limits of such a record."""

import numpy as np

from mhc_core.findings.captured import build_captured_headline, describe_captured
from mhc_core.findings.streams import describe_ignored_streams, describe_uniform, describe_unused
from mhc_core.findings.words import build_finding, count, format_number, to_finite
from mhc_core.record.frames import SummaryFrame
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_probe.checkpoint.mixing import StaticMixing
from mhc_probe.checkpoint.reach import Reach

UNKNOWN = (
    "Read from a checkpoint, without running it. Coefficients are those of the biases alone: the part that depends on "
    "the token is left out. Activations, gradients and similarity are not known."
)
NO_BIASES = " There are no biases: H_post is 1, and H_pre is not known, for a gate weighs every channel."
ASSUMED = {"hc_eps": "an epsilon of 1e-6", "hc_sinkhorn_iters": "20 Sinkhorn rounds", "hc_magnitude": "H_post up to 2"}


def summarise_checkpoint(mixing: StaticMixing, reach: Reach | None, result: Result) -> SummaryFrame:
    """Return the summary frame of a checkpoint's record. The source comes first, as it limits all other findings."""
    parts = [
        _describe_source(mixing),
        _describe_reach(reach),
        _describe_lost(mixing) or describe_captured(result),
        describe_ignored_streams(result),
        describe_uniform(result),
        describe_unused(result),
    ]
    return SummaryFrame(headline=build_captured_headline(result), findings=[found for found in parts if found])


def _describe_source(mixing: StaticMixing) -> Finding:
    """Describe where the mixing comes from, the assumed settings and the parts left out."""
    text = UNKNOWN + (NO_BIASES if mixing.h_pre is None else "")
    if mixing.assumed:
        text += (
            f" No config.json says otherwise, so that {' and '.join(ASSUMED[name] for name in mixing.assumed)} count."
        )
    return build_finding("checkpoint", text, "mixing", {"layers": len(mixing.h_post)})


def _describe_reach(reach: Reach | None) -> Finding:
    """Describe how much tokens change the mixing, which the biases alone do not show."""
    if reach is None:
        text = "How far tokens move the coefficients is not known: there is no projection that can be read."
        return build_finding("reach", text, "mixing", {})
    sizes = {"H_pre": reach.h_pre, "H_post": reach.h_post, "H_res": reach.h_res}
    parts = [f"of {name} by {format_number(size)}" for name, size in sizes.items() if size is not None]
    text = (
        f"Tokens move the logits {', '.join(parts[:-1])} and {parts[-1]}, in root mean square over layers and for "
        "states of random direction. Far below 1 the biases say nearly all; at 1 or more they say little."
    )
    numbers = {"reach_pre": reach.h_pre, "reach_post": reach.h_post, "reach_res": reach.h_res}
    return build_finding("reach", text, "mixing", {name: to_finite(size) for name, size in numbers.items()})


def _describe_lost(mixing: StaticMixing) -> Finding | None:
    """Describe layers whose biases are not finite; None if there are none."""
    lost = np.flatnonzero(~np.isfinite(mixing.h_res).all((1, 2)))
    if not len(lost):
        return None
    text = (
        f"In {len(lost)} of {count(len(mixing.h_res), 'layer')} biases are no finite numbers, layer {lost[0] + 1} the "
        "first: no gain is known."
    )
    return build_finding("connection", text, "gain", {"layers_unknown": len(lost), "layer": int(lost[0])})
