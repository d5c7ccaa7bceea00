"""H_res gets no gradient."""

import torch

from tests.core.conformance.plain import PlainMHC


class Detached(PlainMHC):
    def project(self, t: torch.Tensor) -> torch.Tensor:
        return super().project(t).detach()
