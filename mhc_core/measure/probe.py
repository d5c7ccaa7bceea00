"""The probe: listens to the layers of a stack, or of another model, and turns what it hears into frames.

Layers are measured in blocks, so that the arithmetic is batched and the device is waited for once a block. The first
block holds one layer, to have something to show at once; the next ones grow. `ForwardProbe` and `BackwardProbe` take
layers one at a time and return the frames that became complete, which may be none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from mhc_core.connections import MATRICES, Mixing, name_parts
from mhc_core.metrics.gradients import measure_gradients, total_norm
from mhc_core.metrics.mixing import measure_composites, measure_matrices
from mhc_core.metrics.paths import unfold
from mhc_core.metrics.similarity import CkaRows, to_cka_status
from mhc_core.metrics.states import measure_branches, measure_states
from mhc_core.metrics.token_products import TokenProducts, worst_deviation
from mhc_core.record.columns import fetch, to_columns, to_float32, to_groups, to_status, with_log10
from mhc_core.record.frames import BackwardFrame, ForwardFrame, LossFrame, MixingFrame, SimilarityFrame
from mhc_core.record.values import Status
from mhc_core.stack import DTYPES, LayerOutput, Stack

BLOCK_BYTES = 64 * 2**20  # of states kept together for one measurement
CPU_LAYERS, CARD_LAYERS = 16, 32  # measured together at most
INPUT_LAYER = -1  # the embedding's output


@dataclass(frozen=True)
class Layout:
    """What the probes must know of a model.

    Attributes
    ----------
    depth, samples: L layers, N = B T samples.
    state_width: values that a state has for each sample.
    dtype: of the states.
    device: where they lie.
    to_streams: any state, or its gradient, as (n, N, C).
    merge: what the streams (..., n, N, C) say together, (..., N, C).
    merge_grad: the gradient along a move of the merged state, (..., N, C).
    """

    depth: int
    samples: int
    state_width: int
    dtype: torch.dtype
    device: torch.device
    to_streams: Callable[[torch.Tensor], torch.Tensor]
    merge: Callable[[torch.Tensor], torch.Tensor]
    merge_grad: Callable[[torch.Tensor], torch.Tensor]

    @property
    def measured_dtype(self) -> torch.dtype:
        """float32 at least: bfloat16 states would lose their own digits in the sums."""
        return torch.float64 if self.dtype == torch.float64 else torch.float32

    @property
    def state_entries(self) -> int:
        """Values in one state."""
        return self.samples * self.state_width


class ForwardProbe:
    """Measures states, branches, mixing matrices and, unless left out, CKA on the way up."""

    def __init__(self, layout: Layout, *, with_cka: bool = True, biased_cka: bool = False) -> None:
        self.layout, self.dtype = layout, layout.measured_dtype
        self.sizes = _block_sizes(layout)
        self.due = next(self.sizes)
        self.waiting: list[tuple[int, LayerOutput]] = []
        self.u_before: torch.Tensor | None = None
        cka = partial(CkaRows, layout.depth, layout.samples, layout.device, self.dtype, biased=biased_cka)
        self.cka = cka() if with_cka else None
        self.means: list[dict[str, np.ndarray]] = []
        self.products = TokenProducts(downwards=False)
        self.last_layer = layout.depth - 1

    def observe_input(self, state: torch.Tensor) -> ForwardFrame:
        """The embedding's output, as a forward frame of layer -1."""
        x_KnNC = self.layout.to_streams(state).unsqueeze(0).to(self.dtype)
        measured = measure_states(x_KnNC, self.layout.merge(x_KnNC))
        (group,) = to_groups(fetch(measured), self._cast)
        return ForwardFrame(layer=INPUT_LAYER, **group)

    def observe(self, layer: int, output: LayerOutput) -> list[ForwardFrame | SimilarityFrame]:
        """Take one layer; return the frames of a block when it is full or the last layer has come."""
        self.waiting.append((layer, LayerOutput(*(_detach(part) for part in output))))
        if len(self.waiting) < self.due and layer < self.last_layer:
            return []
        self.due = next(self.sizes)
        waiting, self.waiting = self.waiting, []
        return self._measure(waiting)

    def mean_mixing(self) -> dict[str, np.ndarray]:
        """Coefficients of every layer, of the mean over samples: h_pre, h_post (L, n), h_res (L, n, n), in float64.

        h_read (L, n, n) in place of h_pre where parts of the width are read.
        """
        return {key: np.concatenate([block[key] for block in self.means]) for key in self.means[0]}

    @property
    def _cast(self) -> type[np.floating]:
        return np.float64 if self.dtype == torch.float64 else np.float32

    def _measure(self, waiting: list[tuple[int, LayerOutput]]) -> list[ForwardFrame | SimilarityFrame]:
        x_KnNC = torch.stack([self.layout.to_streams(output.state) for _, output in waiting]).to(self.dtype)
        u_KNC = torch.stack([output.u for _, output in waiting]).to(self.dtype)
        y_KNC = torch.stack([output.y for _, output in waiting]).to(self.dtype)
        u_before = u_KNC[0] if self.u_before is None else self.u_before
        self.u_before = u_KNC[-1]
        m_KNC = self.layout.merge(x_KnNC)
        measured = measure_states(x_KnNC, m_KNC)
        measured |= measure_branches(u_KNC, y_KNC, u_before)
        mixings = [output.mixing for _, output in waiting]
        measured |= _average_mixing(mixings)
        self.products.add([mixing.h_res for mixing in mixings])
        if self.cka is not None:
            measured["cka"] = self.cka.add(m_KNC)
            measured["cka_faults"] = self.cka.faults_L[self.cka.filled - len(m_KNC) : self.cka.filled]
        values = fetch(measured)
        rows, faults = values.pop("cka", None), values.pop("cka_faults", None)
        values |= measure_matrices(values["h_res"])
        self.means.append({key: values[key] for key in MATRICES if key in values})
        flags = {} if faults is None else to_cka_status(faults)
        frames: list[ForwardFrame | SimilarityFrame] = []
        for place, ((layer, _), group) in enumerate(zip(waiting, to_groups(values, self._cast), strict=True)):
            if layer == 0:  # there is no layer before it
                for key in ("cos_prev", "cos_prev_p05", "cos_prev_p95"):
                    del group["values"][key]
                    group["status"].pop(key, None)
            frames.append(ForwardFrame(layer=layer, **group))
            if rows is not None:
                row = rows[place, : layer + 1].astype(self._cast)
                status: dict[str, Status] = {"cka": _blame(flags[place], group["status"])} if place in flags else {}
                frames.append(SimilarityFrame(layer=layer, cka=row, status=status))
        return frames


class BackwardProbe:
    """Measures gradients on the way down."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.dtype = layout, layout.measured_dtype
        self.cast = np.float64 if self.dtype == torch.float64 else np.float32
        self.sizes = _block_sizes(layout)
        self.due = next(self.sizes)
        self.waiting: list[tuple[int, torch.Tensor, dict[str, torch.Tensor]]] = []
        self.products = TokenProducts(downwards=True)
        self.h_res: list[torch.Tensor] = []

    def observe(
        self,
        layer: int,
        grad_state: torch.Tensor,
        grad_u: torch.Tensor | None = None,
        weights: list[torch.Tensor] | None = None,
        grad_weights: list[torch.Tensor] | None = None,
        h_res: torch.Tensor | None = None,
    ) -> list[BackwardFrame]:
        """Take the gradients of one layer, the last layer first and `INPUT_LAYER`, which ends the pass, last."""
        single: dict[str, torch.Tensor] = {}
        if grad_u is not None and weights and grad_weights:
            norm = total_norm(grad_weights)
            size = (grad_u.shape[0] * grad_u.shape[1]) ** 0.5
            single = {
                "branch_grad_rms": total_norm([grad_u]) / size,
                "param_grad_norm": norm,
                "grad_to_weight": norm / total_norm(weights),
            }
        self.waiting.append((layer, self.layout.to_streams(grad_state.detach()), single))
        if h_res is not None:
            self.h_res.append(h_res.detach())
        if len(self.waiting) < self.due and layer != INPUT_LAYER:
            return []
        return self.finish()

    def finish(self) -> list[BackwardFrame]:
        """Frames of what waits still: for a pass that ends before it has reached the input."""
        self.due = next(self.sizes)
        waiting, self.waiting = self.waiting, []
        return self._measure(waiting) if waiting else []

    def _measure(self, waiting: list[tuple[int, torch.Tensor, dict[str, torch.Tensor]]]) -> list[BackwardFrame]:
        self.products.add(self.h_res)
        self.h_res = []
        g_KnNC = torch.stack([grad for _, grad, _ in waiting]).to(self.dtype)
        measured = measure_gradients(g_KnNC, self.layout.merge_grad(g_KnNC))
        inner = [single for _, _, single in waiting if single]
        if inner:
            measured |= {key: torch.stack([single[key] for single in inner]) for key in inner[0]}
        # The input, which ends the last block, has no branch: its columns are shorter by one.
        groups = to_groups(fetch(measured), self.cast)
        return [BackwardFrame(layer=layer, **group) for (layer, _, _), group in zip(waiting, groups, strict=True)]


def build_loss_frame(value: float) -> LossFrame:
    """The loss, or its status where it is not finite."""
    flag = to_status(value)
    return LossFrame(values={"loss": None if flag else value}, status={"loss": flag} if flag else {})


def build_mixing_frame(
    means: dict[str, np.ndarray], gains: dict[str, tuple[np.ndarray, np.ndarray]], gradients: dict[str, np.ndarray]
) -> MixingFrame:
    """Composites, unfolded connections and mixing gradients as columns over all layers, in float64.

    Parameters
    ----------
    means: coefficients of every layer, of the mean over samples.
    gains: further columns as (value, log10).
    gradients: further columns as values.
    """
    columns = measure_composites(means["h_res"]) | gains
    columns |= {key: with_log10(value) for key, value in gradients.items()}
    group = to_columns(columns, np.float64)
    if "h_pre" in means:  # a layer that reads a matrix of parts has no single weight
        unfolded, flags = to_float32(unfold(means["h_pre"], means["h_post"], means["h_res"]))
        group["values"]["unfolded"] = unfolded
        if flags:
            group["status"]["unfolded"] = flags
    return MixingFrame(**group)


def _blame(flag: Status, status: dict[str, Status]) -> Status:
    """Streams that overflowed to either side have a mean that is not a number: they overflowed."""
    return "overflow" if flag == "nan" and status.get("act_rms_streams") == "overflow" else flag


def lay_out(stack: Stack, device: torch.device) -> Layout:
    """What probes must know of one of our stacks that lies on the device."""
    spec, connection = stack.spec, stack.connection
    return Layout(
        depth=spec.depth,
        samples=spec.input.batch * spec.input.tokens,
        state_width=connection.state_width,
        dtype=DTYPES[spec.dtype],
        device=device,
        to_streams=connection.streams,
        merge=connection.merge,
        merge_grad=connection.merge_grad,
    )


def max_together(layout: Layout) -> int:
    """Layers that are measured together at most."""
    most = CPU_LAYERS if layout.device.type == "cpu" else CARD_LAYERS
    return max(1, min(most, BLOCK_BYTES // (4 * layout.state_entries)))


def _block_sizes(layout: Layout) -> Iterator[int]:
    most = max_together(layout)
    # On a GPU a small first block would only add a wait.
    size = 1 if layout.device.type == "cpu" else most
    while True:
        yield size
        size = min(2 * size, most)


def _detach(part: Any) -> Any:
    return Mixing(*(item.detach() for item in part)) if isinstance(part, Mixing) else part.detach()


def _average_mixing(mixings: list[Mixing]) -> dict[str, torch.Tensor]:
    """h_pre, h_post (K, n) and h_res (K, n, n): as they are, or mean and spread over samples where dynamic.

    A matrix h_pre is called h_read, (K, n, n).
    """
    found = {}
    dynamic = mixings[0].h_post.ndim == 2
    for key, parts in name_parts(mixings).items():
        stacked = torch.stack(parts).double()
        found[key] = stacked.mean(1) if dynamic else stacked
        if dynamic:
            found[f"{key}_std"] = stacked.std(1, correction=0)
            if key == "h_res":
                found["ds_error_tokens"] = worst_deviation(stacked)
    return found
