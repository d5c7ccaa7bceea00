"""Identity HC: H_res = I, with mHC's H_pre and H_post. This ablation shows what residual mixing adds."""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, ResidualMap, Round, Use

if TYPE_CHECKING:
    import torch


class IdentityMap(ResidualMap):
    """The map of a family without logits: H_res is the identity."""

    def start(self, certainty: float) -> list[float]:
        return []

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return the identity as H_res, (..., n, n), with the leading axes of `raw`."""
        import torch

        eye = torch.eye(self.n, dtype=raw.dtype, device=raw.device)
        return eye.expand(*raw.shape[:-1], self.n, self.n).contiguous()


def repeat_identity(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Return the identity matrix for each layer or sample, in numpy."""
    n = settings.streams
    return np.broadcast_to(np.eye(n), (*logits.shape[:-1], n, n))


FAMILY = Family(
    name="Identity HC",
    summary="no residual mixing",
    place=7,
    look=Look("#562763", "#9a7db1", "9px,3px,2px,3px,2px,3px", "cross"),
    orthogonal=True,
    drawn="nothing",
    logits=lambda n: 0,
    map=IdentityMap,
    map_reference=repeat_identity,
    parent="mhc",
    keeps="several streams, each of gain 1",
    gives_up="mixing: streams meet in the branches alone",
    uses=(Use("HY-V4", "transformers, models/hy_v4", "2026-09-02"),),
)
