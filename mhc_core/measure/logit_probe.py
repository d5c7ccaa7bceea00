"""The probe of the residual logits, from which H_res is computed. Layer outputs do not contain them."""

from functools import partial
from typing import Any

import torch

from mhc_core.layers.manifold import DynamicManifold, DynamicManifoldLayer, StaticManifold
from mhc_core.metrics.logits import MAX_SAMPLES, measure_ranges, measure_rounding
from mhc_core.metrics.states import pick_samples
from mhc_core.stack import Stack

MAX_LAYERS = 16  # number of layers whose logits are measured together


class LogitProbe:
    """Records the logits of H_res of each layer once, in the forward pass; static logits are known before it.

    It measures the range over all samples, and keeps the logits of a few samples, which are mapped again for all layers
    together.
    """

    def __init__(self, stack: Stack) -> None:
        """Prepare for a stack; if its residual logits are static, record them."""
        connection = stack.connection
        self.mixers: list[Any] = []
        self.waiting: list[torch.Tensor] = []
        self.ranges: list[torch.Tensor] = []
        self.kept: list[torch.Tensor] = []
        logits = connection.residual_logits(0) if connection.n > 1 else None
        if logits is None:
            return
        assert isinstance(connection, StaticManifold | DynamicManifold)
        self.to_matrices = connection.residual_map
        if isinstance(connection, StaticManifold):
            self._measure_logits(logits.detach().unsqueeze(1))
            return
        self.mixers = list(connection.mixers)

    def listen(self, layers: range) -> None:
        """Record the logits of H_res of these layers, in this order, the next time they are computed."""
        for layer in layers if self.mixers else ():
            mixer = self.mixers[layer]
            assert isinstance(mixer, DynamicManifoldLayer)
            mixer.listener = partial(self._record_logits, mixer)

    @torch.no_grad()
    def columns(self) -> dict[str, torch.Tensor]:
        """Return the metrics of the logits of H_res as columns (L) on the stack's device; {} without logits.

        `res_logit_range` is the range of a layer's logits, only with two logits or more. `ds_error_float32` and
        `ds_error_bfloat16` say how far H_res is from doubly stochastic if it is mapped in these types.
        """
        self._take_waiting()
        if not self.kept:
            return {}
        logits_LSm = torch.cat(self.kept)
        measured = {"res_logit_range": torch.cat(self.ranges)} if logits_LSm.shape[2] > 1 else {}
        return measured | measure_rounding(logits_LSm, self.to_matrices)

    def _record_logits(self, mixer: DynamicManifoldLayer, logits_Nm: torch.Tensor) -> None:
        """Record the logits of one layer; measure those that wait when they are of `MAX_LAYERS` layers."""
        mixer.listener = None  # a layer may be computed again in the backward pass
        self.waiting.append(logits_Nm.detach())
        if len(self.waiting) == MAX_LAYERS:
            self._take_waiting()

    def _take_waiting(self) -> None:
        """Measure the recorded logits that wait."""
        if self.waiting:
            self._measure_logits(torch.stack(self.waiting))
            self.waiting = []

    def _measure_logits(self, logits_KNm: torch.Tensor) -> None:
        """Measure the ranges of the logits of K layers, and keep the logits of at most MAX_SAMPLES samples."""
        self.ranges.append(measure_ranges(logits_KNm))
        self.kept.append(logits_KNm[:, pick_samples(logits_KNm.shape[1], MAX_SAMPLES, logits_KNm.device)])
