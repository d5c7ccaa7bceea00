"""The probe of a training step: listens while autograd walks the whole stack, up and down.

Definitions are those of `ForwardProbe` and `BackwardProbe`, of whose many metrics it takes few: it must cost little
beside the step. What it holds of a layer is one merged state or gradient, and that until a block of layers is full.
"""

from functools import partial

import numpy as np
import torch

from mhc_core.metrics.similarity import CkaRows, to_cka_status
from mhc_core.metrics.states import rms
from mhc_core.probe import Layout, most_together
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput


class StepProbe:
    """Measures act_rms and grad_rms of every layer, and CKA of every two where asked for, in one step."""

    def __init__(self, layout: Layout, spec: RunSpec, *, with_cka: bool) -> None:
        self.layout = layout
        self.up, self.down = _Sizes(layout), _Sizes(layout)
        self.cka: CkaRows | None = None
        if with_cka:
            biased, dtype = spec.cka == "biased", layout.measured_dtype
            self.cka = CkaRows(layout.depth, layout.samples, layout.device, dtype, biased=biased)
            self.cka_LL = torch.empty(layout.depth, layout.depth, device=layout.device, dtype=dtype)
            self.sizes: list[torch.Tensor] = []

    def observe(self, layer: int, output: LayerOutput) -> None:
        """Take a layer on the way up; autograd will bring the gradient at its state on the way down."""
        with torch.no_grad():
            x_nNC = self.layout.to_streams(output.state.detach()).to(self.layout.measured_dtype)
            if self.cka is not None:
                self.sizes.append(x_nNC.abs().amax())
            m_KNC = self.up.add(layer, self.layout.merge(x_nNC))
            if self.cka is not None and m_KNC is not None:
                self._compare(self.cka, m_KNC)
        output.state.register_hook(partial(self._hear, layer))

    def measured(self) -> dict[str, torch.Tensor]:
        """Of the step: step_act_rms and step_grad_rms (L), and where asked for what `to_cka` takes; on the device."""
        found = {"step_act_rms": self.up.rms_L(), "step_grad_rms": self.down.rms_L()}
        if self.cka is not None:
            found |= {"cka": self.cka_LL, "cka_faults": self.cka.faults_L, "cka_sizes": torch.stack(self.sizes)}
        return found

    def _hear(self, layer: int, grad: torch.Tensor) -> None:
        g_nNC = self.layout.to_streams(grad.detach()).to(self.layout.measured_dtype)
        self.down.add(layer, self.layout.merge_grad(g_nNC))

    def _compare(self, cka: CkaRows, m_KNC: torch.Tensor) -> None:
        start, rows = cka.filled, cka.add(m_KNC)
        self.cka_LL[start : cka.filled, : cka.filled] = rows
        self.cka_LL[: cka.filled, start : cka.filled] = rows.T


class _Sizes:
    """Root mean squares of layers that come one by one, up or down, taken a block at a time."""

    def __init__(self, layout: Layout) -> None:
        self.due, self.left = most_together(layout), layout.depth
        self.waiting: list[tuple[int, torch.Tensor]] = []
        # A layer through which nothing comes down has no gradient: zero.
        self.found_L = torch.zeros(layout.depth, device=layout.device, dtype=torch.float64)

    def add(self, layer: int, merged_NC: torch.Tensor) -> torch.Tensor | None:
        """Take a layer; a block (K, N, C) when it is full or the last layer has come."""
        self.waiting.append((layer, merged_NC))
        self.left -= 1
        return self._measure() if len(self.waiting) == self.due or self.left == 0 else None

    def rms_L(self) -> torch.Tensor:
        if self.waiting:
            self._measure()
        return self.found_L

    def _measure(self) -> torch.Tensor:
        m_KNC = torch.stack([merged for _, merged in self.waiting])
        layers = torch.tensor([layer for layer, _ in self.waiting], device=self.found_L.device)
        self.waiting = []
        self.found_L[layers] = rms(m_KNC)
        return m_KNC


def to_cka(values: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, str]]:
    """CKA (L, L) of a step, out of its measurements, and the status of the layers that have none."""
    cka_LL, faults_L, sizes_L = (values.pop(key) for key in ("cka", "cka_faults", "cka_sizes"))
    # Streams that overflowed to either side have a mean that is not a number: they overflowed.
    flags = {
        str(layer): "overflow" if flag == "nan" and np.isinf(sizes_L[layer]) else flag
        for layer, flag in to_cka_status(faults_L).items()
    }
    return cka_LL, flags
