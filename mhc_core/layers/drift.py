"""The raw parameters of a spec's residual mixing for any size of the drift: their initial values and the noise."""

from typing import NamedTuple

import torch

from mhc_core.layers.connections import build_connection
from mhc_core.layers.noise import draw_standard_noise
from mhc_core.spec import RunSpec


class DriftDraws(NamedTuple):
    """Initial values and drift of the raw parameters of H_res: those of layer l are origin + noise * draws[l].

    origin: (m), the same in every layer. draws: N(0, 1), (L, m). Both are float32, whatever the run's dtype.
    """

    origin: torch.Tensor
    draws: torch.Tensor


def describe_drift(spec: RunSpec) -> DriftDraws | None:
    """Return the drift of a spec's static H_res. None if H_res has no raw parameters, if mixing is dynamic or trained,
    or if layers have different initial values.
    """
    if spec.family.drawn in ("nothing", "queries") or spec.connection.is_dynamic or spec.train.steps:
        return None
    still = spec.model_copy(
        update={"depth": min(spec.depth, 2), "connection": spec.connection.model_copy(update={"noise": 0.0})}
    )
    raw = build_connection(still).raw_residual()
    if raw is None:  # KromHC of one stream has no logits
        return None
    rows = raw.detach().float().flatten(1)
    if not torch.equal(rows[0], rows[-1]):  # layers have different initial values
        return None
    origin = rows[0]
    return DriftDraws(origin, draw_standard_noise(spec, len(origin)))
