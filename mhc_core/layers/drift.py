"""What the residual mixing of a spec is at any drift: where its raw parameters start, and the draws that move them."""

from typing import NamedTuple

import torch

from mhc_core.layers.connections import build_connection
from mhc_core.layers.noise import draw_standard_noise
from mhc_core.spec import RunSpec


class DriftDraws(NamedTuple):
    """The raw parameters of layer l are origin + noise * draws[l], in float32, whatever the run's type.

    origin: m values, the same in every layer. draws: N(0, 1), (L, m).
    """

    origin: torch.Tensor
    draws: torch.Tensor


def describe_drift(spec: RunSpec) -> DriftDraws | None:
    """The noise on the raw parameters of static mixing; None without it, or if mixing is dynamic, trained or uneven."""
    if spec.family.drawn in ("nothing", "queries") or spec.connection.is_dynamic or spec.train.steps:
        return None
    still = spec.model_copy(
        update={"depth": min(spec.depth, 2), "connection": spec.connection.model_copy(update={"noise": 0.0})}
    )
    raw = build_connection(still).raw_residual()
    if raw is None:  # KromHC of one stream has no logits
        return None
    rows = raw.detach().float().flatten(1)
    if not torch.equal(rows[0], rows[-1]):  # each layer starts elsewhere
        return None
    origin = rows[0]
    return DriftDraws(origin, draw_standard_noise(spec, len(origin)))
