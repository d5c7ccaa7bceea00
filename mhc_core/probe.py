"""The probe: listens to the layers of a stack and turns what it hears into frames.

Layers are measured in blocks, so that the arithmetic is batched and the device is waited for once a block. The first
block holds one layer, to have something to show at once; the next ones grow. `ForwardProbe` and `BackwardProbe` take
layers one at a time and return the frames that became complete, which may be none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from mhc_core.connections import Mixing
from mhc_core.frames import Frame
from mhc_core.metrics import METRICS
from mhc_core.metrics.gradients import measure_gradients, total_norm
from mhc_core.metrics.mixing import measure_composites, measure_matrices
from mhc_core.metrics.similarity import CkaRows
from mhc_core.metrics.states import measure_branches, measure_states
from mhc_core.stack import LayerOutput, Stack

BLOCK_BYTES = 64 * 2**20  # of states kept together for one measurement
MOST_LAYERS = {"cpu": 16, "cuda": 32}
INPUT_LAYER = -1  # the embedding's output


class ForwardProbe:
    """Measures states, branches, mixing matrices and, unless left out, CKA on the way up."""

    def __init__(self, stack: Stack, device: torch.device, *, with_cka: bool = True) -> None:
        spec = stack.spec
        samples = spec.input.batch * spec.input.tokens
        # bfloat16 states are measured in float32: their own digits would be lost in the sums.
        self.dtype = torch.float64 if spec.dtype == "float64" else torch.float32
        self.streams = stack.connection.streams
        self.sizes = _block_sizes(samples * spec.width * stack.connection.n, device)
        self.due = next(self.sizes)
        self.waiting: list[tuple[int, LayerOutput]] = []
        self.u_before: torch.Tensor | None = None
        self.cka = CkaRows(spec.depth, samples, device, self.dtype) if with_cka else None
        self.matrices: list[np.ndarray] = []
        self.last_layer = spec.depth - 1

    def observe_input(self, state: torch.Tensor) -> Frame:
        """The embedding's output, as a forward frame of layer -1."""
        measured = measure_states(self.streams(state).unsqueeze(0).to(self.dtype))
        (group,) = to_groups(_fetch(measured), self._cast)
        return Frame("forward", {"layer": INPUT_LAYER, **group})

    def observe(self, layer: int, output: LayerOutput) -> list[Frame]:
        """Take one layer; return the frames of a block when it is full or the last layer has come."""
        self.waiting.append((layer, LayerOutput(*(_detach(part) for part in output))))
        if len(self.waiting) < self.due and layer < self.last_layer:
            return []
        self.due = next(self.sizes)
        waiting, self.waiting = self.waiting, []
        return self._measure(waiting)

    def composites(self) -> np.ndarray:
        """Mean H_res of every layer, (L, n, n) in float64."""
        return np.concatenate(self.matrices)

    @property
    def _cast(self) -> type[np.floating]:
        return np.float64 if self.dtype == torch.float64 else np.float32

    def _measure(self, waiting: list[tuple[int, LayerOutput]]) -> list[Frame]:
        x_KnNC = torch.stack([self.streams(output.state) for _, output in waiting]).to(self.dtype)
        u_KNC = torch.stack([output.u for _, output in waiting]).to(self.dtype)
        y_KNC = torch.stack([output.y for _, output in waiting]).to(self.dtype)
        u_before = u_KNC[0] if self.u_before is None else self.u_before
        self.u_before = u_KNC[-1]
        measured = measure_states(x_KnNC)
        measured |= measure_branches(u_KNC, y_KNC, u_before)
        measured |= _average_mixing([output.mixing for _, output in waiting])
        if self.cka is not None:
            measured["cka"] = self.cka.add(x_KnNC.mean(1))
        values = _fetch(measured)
        rows = values.pop("cka", None)
        values |= measure_matrices(values["h_res"])
        self.matrices.append(values["h_res"])
        frames = []
        for place, ((layer, _), group) in enumerate(zip(waiting, to_groups(values, self._cast), strict=True)):
            if layer == 0:  # there is no layer before it
                for key in ("cos_prev", "cos_prev_p05", "cos_prev_p95"):
                    del group["values"][key]
                    group["status"].pop(key, None)
            frames.append(Frame("forward", {"layer": layer, **group}))
            if rows is not None:
                row = rows[place, : layer + 1].astype(self._cast)
                frames.append(Frame("similarity", {"layer": layer, "cka": row}))
        return frames


class BackwardProbe:
    """Measures gradients on the way down."""

    def __init__(self, stack: Stack, device: torch.device) -> None:
        spec = stack.spec
        self.dtype = torch.float64 if spec.dtype == "float64" else torch.float32
        self.cast = np.float64 if spec.dtype == "float64" else np.float32
        self.streams = stack.connection.streams
        self.sizes = _block_sizes(spec.input.batch * spec.input.tokens * spec.width * stack.connection.n, device)
        self.due = next(self.sizes)
        self.waiting: list[tuple[int, torch.Tensor, dict[str, torch.Tensor]]] = []

    def observe(
        self,
        layer: int,
        grad_state: torch.Tensor,
        grad_u: torch.Tensor | None = None,
        weights: list[torch.Tensor] | None = None,
        grad_weights: list[torch.Tensor] | None = None,
    ) -> list[Frame]:
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
        self.waiting.append((layer, self.streams(grad_state.detach()), single))
        if len(self.waiting) < self.due and layer != INPUT_LAYER:
            return []
        self.due = next(self.sizes)
        waiting, self.waiting = self.waiting, []
        return self._measure(waiting)

    def _measure(self, waiting: list[tuple[int, torch.Tensor, dict[str, torch.Tensor]]]) -> list[Frame]:
        measured = measure_gradients(torch.stack([grad for _, grad, _ in waiting]).to(self.dtype))
        inner = [single for _, _, single in waiting if single]
        if inner:
            measured |= {key: torch.stack([single[key] for single in inner]) for key in inner[0]}
        # The input, which ends the last block, has no branch: its columns are shorter by one.
        groups = to_groups(_fetch(measured), self.cast)
        return [
            Frame("backward", {"layer": layer, **group}) for (layer, _, _), group in zip(waiting, groups, strict=True)
        ]


def build_mixing_frame(matrices_Lnn: np.ndarray, grad_norm_L: np.ndarray | None) -> Frame:
    """Composite gains and mixing gradients as columns over all layers, in float64."""
    values: dict[str, Any] = {}
    log10: dict[str, Any] = {}
    status: dict[str, dict[str, str]] = {}
    columns = measure_composites(matrices_Lnn)
    if grad_norm_L is not None:
        with np.errstate(divide="ignore"):
            columns["mixing_grad_norm"] = (grad_norm_L, np.log10(grad_norm_L))
    for key, (value, log) in columns.items():
        if METRICS[key].scale == "log":
            log10[key] = np.where(np.isfinite(log), log, np.nan)
        flags = {str(layer): flag for layer in range(len(value)) if (flag := to_status(value[layer], log[layer]))}
        if flags:
            status[key] = flags
        lost = np.array([str(layer) in flags for layer in range(len(value))])
        values[key] = np.where(lost, np.nan, value)
    return Frame("mixing", {"values": values, "log10": log10, "status": status})


def to_groups(columns: Mapping[str, np.ndarray], cast: type[np.floating]) -> list[dict[str, Any]]:
    """A block's measurements (K, ...) as K groups of values, log10 and status; what is not finite becomes nan.

    A column may be shorter than the others: the layers after its end lack it.
    """
    groups: list[dict[str, Any]] = [
        {"values": {}, "log10": {}, "status": {}} for _ in range(max(map(len, columns.values())))
    ]
    for key, column in columns.items():
        finite = np.isfinite(column)
        values = np.where(finite, column, np.nan).astype(cast)
        for group, value in zip(groups, values, strict=False):
            group["values"][key] = value
        if METRICS[key].scale == "log":
            with np.errstate(divide="ignore", invalid="ignore"):
                log10 = np.log10(column)
            log10 = np.where(np.isfinite(log10), log10, np.nan).astype(cast)
            for group, value in zip(groups, log10, strict=False):
                group["log10"][key] = value
        if not finite.all():
            for group, measured in zip(groups, column, strict=False):
                flags = {to_status(item) for item in np.ravel(measured)} - {None}
                if flags:
                    group["status"][key] = "nan" if "nan" in flags else "overflow"
    return groups


def to_status(value: float, log10: float | None = None) -> str | None:
    """`overflow`, `underflow` or `nan`, or None for an ordinary value; a true zero is ordinary."""
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "overflow"
    if value == 0 and log10 is not None and np.isfinite(log10):
        return "underflow"
    return None


def _block_sizes(state_entries: int, device: torch.device) -> Iterator[int]:
    most = max(1, min(MOST_LAYERS[device.type], BLOCK_BYTES // (4 * state_entries)))
    # On a GPU a small first block would only add a wait.
    size = 1 if device.type == "cpu" else most
    while True:
        yield size
        size = min(2 * size, most)


def _detach(part: Any) -> Any:
    return Mixing(*(item.detach() for item in part)) if isinstance(part, Mixing) else part.detach()


def _average_mixing(mixings: list[Mixing]) -> dict[str, torch.Tensor]:
    """h_pre, h_post (K, n) and h_res (K, n, n): as they are, or mean and spread over samples where dynamic."""
    found = {}
    for key in Mixing._fields:
        stacked = torch.stack([getattr(mixing, key) for mixing in mixings]).double()
        dynamic = stacked.ndim == (4 if key == "h_res" else 3)
        found[key] = stacked.mean(1) if dynamic else stacked
        if dynamic:
            found[f"{key}_std"] = stacked.std(1, correction=0)
    return found


def _fetch(measured: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Copy all measurements to the host as float64, in one transfer."""
    flat = torch.cat([value.detach().double().flatten() for value in measured.values()]).cpu().numpy()
    parts = np.split(flat, np.cumsum([value.numel() for value in measured.values()])[:-1])
    return {key: part.reshape(value.shape) for (key, value), part in zip(measured.items(), parts, strict=True)}
