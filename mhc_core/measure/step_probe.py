"""The probe of a training step: measures layers while autograd computes the whole stack, forward and backward.

It measures few of the metrics of `ForwardProbe` and `BackwardProbe`, with the same definitions, because it must cost
little compared with the step. Until a block of layers is full, it keeps one merged state, the branch input and one
gradient of each layer; at kept steps, also the streams.
"""

from functools import partial
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import torch

from mhc_core.cost.counts import keeps_maps
from mhc_core.measure.layout import Layout, max_together
from mhc_core.metrics.gradients import measure_gradients
from mhc_core.metrics.similarity import CkaRows, to_cka_status
from mhc_core.metrics.states import measure_neighbours, measure_streams, rms, token_cosine
from mhc_core.record.values import LayerStatus
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput

INPUT = "input_"  # prefix of the names of measurements of the state before the layers


class StepProbe:
    """Measures the columns of one training step; at a kept step, also each stream, and CKA of all pairs of layers.

    CKA is left out in stacks of more than 256 layers.
    """

    def __init__(self, layout: Layout, spec: RunSpec, *, is_kept: bool) -> None:
        self.layout, self.is_kept = layout, is_kept
        self.up, self.down = _Blocks(layout), _Blocks(layout)
        self.u_before: torch.Tensor | None = None
        # If no gradient reaches a layer, it stays zero.
        self.found = {"grad_rms": self._build_zeros(layout.depth)}
        if is_kept:
            self.found["grad_rms_streams"] = self._build_zeros(layout.depth, spec.streams)
        self.input: dict[str, torch.Tensor] = {}
        self.cka: CkaRows | None = None
        if is_kept and keeps_maps(spec):
            biased, dtype = spec.cka == "biased", layout.measured_dtype
            self.cka = CkaRows(layout.depth, layout.samples, layout.device, dtype, biased=biased)
            self.cka_LL = torch.empty(layout.depth, layout.depth, device=layout.device, dtype=dtype)
            self.sizes: list[torch.Tensor] = []

    def observe_input(self, state: torch.Tensor) -> None:
        """Measure the streams of the state before the layers; only at kept steps."""
        if not self.is_kept:
            return
        self._put_input("act", state)
        if state.requires_grad:
            state.register_hook(lambda grad: self._put_input("grad", self.layout.gather_input_grad(grad)))

    def observe(self, layer: int, output: LayerOutput) -> None:
        """Measure a layer in the forward pass, and register a hook for the gradient at its state."""
        dtype = self.layout.measured_dtype
        with torch.no_grad():
            x_nNC = self.layout.to_streams(output.state.detach()).to(dtype)
            if self.cka is not None:
                self.sizes.append(x_nNC.abs().amax())
            streams = (x_nNC,) if self.is_kept else ()
            parts = (self.layout.merge(x_nNC), output.u.detach().to(dtype), *streams)
            self._measure_up(self.up.add(layer, *parts))
        output.state.register_hook(partial(self._record_gradient, layer))

    def measured(self) -> dict[str, torch.Tensor]:
        """Return the columns of the training step, (L) each, on the device.

        They are step_act_rms, step_grad_rms, step_cos_prev, its percentiles and step_token_cos. A kept step also has
        step_act_rms_streams and step_grad_rms_streams (L, n), step_stream_cos (L) if there are several streams, the
        arguments of `to_cka`, and, for the state before the layers, `input_act_rms_streams` and
        `input_grad_rms_streams` (n).
        """
        self._measure_down(self.down.rest())
        found = {f"step_{key}": column for key, column in self.found.items()} | self.input
        if self.cka is not None:
            found |= {"cka": self.cka_LL, "cka_faults": self.cka.faults_L, "cka_sizes": torch.stack(self.sizes)}
        return found

    @torch.no_grad()
    def _put_input(self, what: str, state: torch.Tensor) -> None:
        """Measure the size of each stream, or of its gradient, in the state before the layers."""
        x_nNC = self.layout.to_streams(state.detach()).to(self.layout.measured_dtype)
        self.input[f"{INPUT}{what}_rms_streams"] = rms(x_nNC)

    def _record_gradient(self, layer: int, grad: torch.Tensor) -> None:
        """Add the gradient at the state after a layer; measure the block of layers that it completes."""
        g_nNC = self.layout.to_streams(grad.detach()).to(self.layout.measured_dtype)
        streams = (g_nNC,) if self.is_kept else ()
        self._measure_down(self.down.add(layer, self.layout.merge_grad(g_nNC), *streams))

    def _measure_up(self, block: "_Block | None") -> None:
        """Measure the states of a block of layers; do nothing without a block."""
        if block is None:
            return
        m_KNC, u_KNC, *streams = block.parts
        self._set_columns(block, {"act_rms": rms(m_KNC), "token_cos": token_cosine(m_KNC)})
        self._set_columns(block, measure_neighbours(u_KNC, u_KNC[0] if self.u_before is None else self.u_before))
        self.u_before = u_KNC[-1]
        if streams:
            columns = measure_streams(streams[0])
            columns.pop("stream_cosines", None)
            self._set_columns(block, columns)
        if self.cka is not None:
            self._extend_cka(self.cka, m_KNC)

    def _measure_down(self, block: "_Block | None") -> None:
        """Measure the gradients of a block of layers; do nothing without a block."""
        if block is None:
            return
        merged_KNC, *streams = block.parts
        self._set_columns(
            block, measure_gradients(streams[0], merged_KNC) if streams else {"grad_rms": rms(merged_KNC)}
        )

    def _set_columns(self, block: "_Block", columns: dict[str, torch.Tensor]) -> None:
        """Write measurements of a block of layers into the columns of all layers."""
        for key, column in columns.items():
            if key not in self.found:
                self.found[key] = self._build_zeros(self.layout.depth, *column.shape[1:])
            self.found[key][block.place] = column.to(torch.float64)

    def _build_zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, device=self.layout.device, dtype=torch.float64)

    def _extend_cka(self, cka: CkaRows, m_KNC: torch.Tensor) -> None:
        """Add the CKA of a block of layers with all layers so far."""
        start, rows = cka.filled, cka.add(m_KNC)
        self.cka_LL[start : cka.filled, : cka.filled] = rows
        self.cka_LL[: cka.filled, start : cka.filled] = rows.T


class _Block(NamedTuple):
    """Layers that are measured together: their index in columns, and each of their tensors, stacked (K, ...)."""

    place: slice | torch.Tensor
    parts: list[torch.Tensor]


class _Blocks:
    """Collects layers that come one by one, forward or backward, into blocks."""

    def __init__(self, layout: Layout) -> None:
        self.due, self.left, self.device = max_together(layout), layout.depth, layout.device
        self.waiting: list[tuple[int, tuple[torch.Tensor, ...]]] = []

    def add(self, layer: int, *parts: torch.Tensor) -> _Block | None:
        """Add a layer; return a block when it is full or the last layer has come, else None."""
        self.waiting.append((layer, parts))
        self.left -= 1
        return self.rest() if len(self.waiting) == self.due or self.left == 0 else None

    def rest(self) -> _Block | None:
        """Return the layers that wait as a block, even if it is not full; None if there are none."""
        if not self.waiting:
            return None
        waiting, self.waiting = sorted(self.waiting, key=itemgetter(0)), []
        layers = [layer for layer, _ in waiting]
        parts = [torch.stack(part) for part in zip(*(parts for _, parts in waiting), strict=True)]
        return _Block(self._find_place(layers), parts)

    def _find_place(self, layers: list[int]) -> slice | torch.Tensor:
        """Return the slice of these layers in a column, or an index if layers are missing."""
        first, end = layers[0], layers[-1] + 1
        return slice(first, end) if end - first == len(layers) else torch.tensor(layers).to(self.device)


def to_cka(values: dict[str, np.ndarray]) -> tuple[np.ndarray, LayerStatus]:
    """Return the CKA matrix (L, L) of a training step, and the status of the layers that have none."""
    cka_LL, faults_L, sizes_L = (values.pop(key) for key in ("cka", "cka_faults", "cka_sizes"))
    # The mean of streams that overflowed with both signs is nan. Its status is still overflow.
    flags: LayerStatus = {
        layer: "overflow" if flag == "nan" and np.isinf(sizes_L[layer]) else flag
        for layer, flag in to_cka_status(faults_L).items()
    }
    return cka_LL, flags
