"""The probe: measures the layers of a stack, or of someone else's model, during a pass, and builds frames from them.

Layers are measured in blocks, so that the arithmetic is batched. On a CPU a block is sent as soon as it is measured. It
has one layer at first, so that the page has something to show immediately, and then grows. On a GPU each sent block
makes the host wait, so several blocks are sent together. `ForwardProbe` and `BackwardProbe` accept one layer at a time,
and return the frames that are complete, possibly none.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad

from mhc_core.layers.connections import MATRICES, DepthReads
from mhc_core.measure.layout import CARD_LAYERS, Layout, max_together
from mhc_core.metric import GradientBlock, LayerBlock, NoMixing
from mhc_core.metrics import LAYER_METRICS, SOME_LAYERS
from mhc_core.metrics.gauge import measure_gauge_norms, measure_remainder
from mhc_core.metrics.gradients import join_norms, measure_gradients, measure_norms
from mhc_core.metrics.mixing import Products, measure_composites, measure_matrices
from mhc_core.metrics.paths import count_streams, measure_kernel_shares, unfold
from mhc_core.metrics.shares import measure_branch_share, measure_shares
from mhc_core.metrics.similarity import CkaRows, to_cka_status
from mhc_core.metrics.states import measure_branches, measure_states
from mhc_core.metrics.token_products import TokenProducts, worst_deviation
from mhc_core.record.columns import fetch_all, to_columns, to_groups, to_signed, to_stack, to_status, with_log10
from mhc_core.record.frames import BackwardFrame, ForwardFrame, LossFrame, MixingFrame, SimilarityFrame
from mhc_core.record.values import LayerGroup, LayerStatus, Status
from mhc_core.stack import LayerOutput

INPUT_LAYER = -1  # the embedding's output


class _Pace:
    """Decides how many layers are measured together, and when measured layers are sent.

    growth: factor by which a block may be larger than the one before.
    """

    def __init__(self, layout: Layout, growth: int) -> None:
        self.is_card, self.most, self.growth = layout.device.type != "cpu", max_together(layout), growth
        self.due = self.most if self.is_card else 1

    def grow(self) -> None:
        """Increase the size of the next block, up to the limit, after a block was measured."""
        self.due = min(self.growth * self.due, self.most)

    def sends(self, measured: int) -> bool:
        """Return whether this number of measured layers is sent before the last layer has come."""
        return not self.is_card or measured >= CARD_LAYERS


class ForwardProbe:
    """Measures states, branches, mixing matrices and, if `with_cka`, CKA in the forward pass.

    known: the probe of another pass on a CPU in which the layers before `first` are the same. They are not measured
        again. Default None.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        with_cka: bool = True,
        biased_cka: bool = False,
        known: "ForwardProbe | None" = None,
        first: int = 0,
    ) -> None:
        self.known, self.first = known, first
        self.blocks: list[list[ForwardFrame | SimilarityFrame]] = []  # frames of the blocks that are sent
        self.layout, self.dtype = layout, layout.measured_dtype
        self.pace = _Pace(layout, growth=2)
        self.waiting: list[tuple[int, LayerOutput]] = []
        self.measured: list[tuple[list[int], dict[str, torch.Tensor]]] = []  # blocks that are not sent yet
        self.u_before: torch.Tensor | None = None
        cka = partial(CkaRows, layout.depth, layout.samples, layout.device, self.dtype, biased=biased_cka)
        self.cka = cka() if with_cka else None
        self.means: list[dict[str, np.ndarray]] = []
        self.reads = [torch.ones(1, dtype=torch.float64, device=layout.device)]  # the first layer reads the embedding
        self.products = TokenProducts(downwards=False, together=self.pace.most)
        self.last_layer = layout.depth - 1

    def observe_input(self, state: torch.Tensor) -> list[ForwardFrame | SimilarityFrame]:
        """Measure the embedding's output; return it as a forward frame of layer -1."""
        x_KnNC = self.layout.to_streams(state).unsqueeze(0).to(self.dtype)
        self.measured.append(([INPUT_LAYER], measure_states(x_KnNC, self.layout.merge(x_KnNC))))
        return self._fetch_frames() if self.pace.sends(1) else []

    def observe(self, layer: int, output: LayerOutput) -> list[ForwardFrame | SimilarityFrame]:
        """Add a layer's output; return the frames that are ready to send. With the last layer, these are all others."""
        self.waiting.append((layer, detach_output(output)))
        is_last = layer == self.last_layer
        # A last layer that is left over joins the block before it, because a block of one layer costs mostly calls.
        joins_next = layer == self.last_layer - 1 and self.pace.due > 1
        if not is_last and (len(self.waiting) < self.pace.due or joins_next):
            return []
        waiting, self.waiting = self.waiting, []
        if self.known and layer < self.first:
            return self._take_known(self.known, [output for _, output in waiting])
        self.measured.append(([layer for layer, _ in waiting], self._measure([output for _, output in waiting])))
        count = sum(len(layers) for layers, _ in self.measured if layers != [INPUT_LAYER])
        if not (is_last or self.pace.sends(count)):
            return []
        self.blocks.append(self._fetch_frames())
        return self.blocks[-1]

    def mean_mixing(self) -> dict[str, np.ndarray]:
        """Return the mean over samples of the coefficients of each layer, float64: h_pre, h_post (L, n), h_res
        (L, n, n).

        If streams are parts of the width, h_read (L, n, n) instead of h_pre. If layers read earlier outputs, only
        `unfolded` (L, L + 1).
        """
        if not self.layout.has_mixing:
            return {"unfolded": stack_reads(self.reads[: self.layout.depth]).cpu().numpy()}
        return {key: np.concatenate([block[key] for block in self.means]) for key in self.means[0]}

    def _take_known(self, known: "ForwardProbe", outputs: list[LayerOutput]) -> list[ForwardFrame | SimilarityFrame]:
        """Return the `known` pass's frames of a block of layers, and copy its data that later blocks need."""
        self.pace.grow()
        place = len(self.blocks)
        self.blocks.append(known.blocks[place])
        self.means.append(known.means[place])
        self.u_before = outputs[-1].u.to(self.dtype)
        made: list[Any] = [output.mixing for output in outputs]
        self.products.add([mixing.h_res for mixing in made])
        if self.cka and known.cka:
            self.cka.take(known.cka, len(outputs))
        return self.blocks[-1]

    @property
    def _cast(self) -> type[np.floating]:
        return np.float64 if self.dtype == torch.float64 else np.float32

    def _measure(self, outputs: list[LayerOutput]) -> dict[str, torch.Tensor]:
        """Return the metrics of a block of layers by key, (K, ...) tensors on the device."""
        x_KnNC = self._stack_states([output.state for output in outputs])
        u_KNC = torch.stack([output.u for output in outputs]).to(self.dtype)
        y_KNC = torch.stack([output.y for output in outputs]).to(self.dtype)
        u_before = u_KNC[0] if self.u_before is None else self.u_before
        self.u_before = u_KNC[-1]
        m_KNC = self.layout.merge(x_KnNC)
        made = [output.mixing for output in outputs]
        values = [output.value_weights for output in outputs]
        entered = [self.layout.to_streams(output.entered) for output in outputs]
        block = LayerBlock(x_KnNC, m_KNC, u_KNC, y_KNC, made, values, entered)
        norm_KnN = block.scaled_moments.norm_KnN
        measured = measure_states(x_KnNC, m_KNC, largest_KnN=block.largest_KnN, norm_KnN=norm_KnN)
        measured |= measure_branches(u_KNC, y_KNC, u_before)
        measured |= _measure_added("forward", block, x_KnNC)
        self.reads += [one.weights for one in made if isinstance(one, DepthReads)]
        if not isinstance(made[0], DepthReads):
            measured |= self._measure_mixing(block, measured["act_rms_streams"])
        if self.cka is not None:
            # A joined last layer is a separate product: its row is then the same bit for bit as in stored records.
            rows = [self.cka.add(part_KNC) for part_KNC in m_KNC.split(self.pace.due)]
            measured["cka"] = torch.cat([pad(row, (0, self.cka.filled - row.shape[1])) for row in rows])
            measured["cka_faults"] = self.cka.faults_L[self.cka.filled - len(m_KNC) : self.cka.filled]
        self.pace.grow()
        return measured

    def _measure_mixing(self, block: LayerBlock, size_Kn: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the metrics of a block of layers from their mixing: shares of branches, and mean coefficients."""
        self.products.add([mixing.h_res for mixing in block.mixings])
        passing = None if self.layout.sums else self.layout.skip * torch.stack([*block.entered]).to(self.dtype)
        shares = measure_branch_share(block.x_KnNC, size_Kn, block.y_KNC, block.h_post, block.h_res, passing)
        return shares | _average_mixing(block)

    def _stack_states(self, states: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack([self.layout.to_streams(state) for state in states]).to(self.dtype)

    def _fetch_frames(self) -> list[ForwardFrame | SimilarityFrame]:
        """Fetch what was measured since the last call, waiting for the device once, and return its frames."""
        blocks, self.measured = self.measured, []
        fetched = fetch_all([measured for _, measured in blocks])
        return [
            frame
            for (layers, _), values in zip(blocks, fetched, strict=True)
            for frame in self._build_frames(layers, values)
        ]

    def _build_frames(
        self, layers: list[int], values: dict[str, np.ndarray]
    ) -> Iterator[ForwardFrame | SimilarityFrame]:
        """Build the forward frames, and the similarity frames, of a block of measured layers."""
        rows, faults = values.pop("cka", None), values.pop("cka_faults", None)
        if "h_res" in values:  # the input is not mixed
            values |= measure_matrices(values["h_res"]) | measure_shares(values)
            self.means.append({key: values[key] for key in MATRICES if key in values})
        flags = {} if faults is None else to_cka_status(faults)
        for place, (layer, group) in enumerate(zip(layers, to_groups(values, self._cast), strict=True)):
            _drop_missing(group)
            if layer == 0:  # there is no layer before it
                for key in ("cos_prev", "cos_prev_p05", "cos_prev_p95"):
                    del group["values"][key]
                    group["status"].pop(key, None)
            yield ForwardFrame(layer=layer, **group)
            if rows is not None:
                row = rows[place, : layer + 1].astype(self._cast)
                status: dict[str, Status] = {"cka": _blame(flags[place], group["status"])} if place in flags else {}
                yield SimilarityFrame(layer=layer, cka=row, status=status)


@dataclass(frozen=True)
class _Gradients:
    """The gradients of one layer that wait to be measured: the gradient at its state, and lists of norms, 0-d each.

    read: norm of the gradient at the branch input. weights_grad: norms of the gradients of weights. weights: norms of
    weights. For the input, the lists are empty.
    """

    layer: int
    grad_nNC: torch.Tensor
    read: list[torch.Tensor]
    weights_grad: list[torch.Tensor]
    weights: list[torch.Tensor]


class BackwardProbe:
    """Measures gradients in the backward pass."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.dtype = layout, layout.measured_dtype
        self.cast = np.float64 if self.dtype == torch.float64 else np.float32
        # Blocks grow faster than in the forward pass: the page already shows something, and calls per block cost time.
        self.pace = _Pace(layout, growth=4)
        self.waiting: list[_Gradients] = []
        self.measured: list[tuple[list[int], dict[str, torch.Tensor]]] = []  # blocks that are not sent yet
        self.products = TokenProducts(downwards=True, together=self.pace.most)
        self.read_entries = 1

    def observe(
        self,
        layer: int,
        grad_state: torch.Tensor,
        grad_u: torch.Tensor | None = None,
        weights: list[torch.Tensor] | None = None,
        grad_weights: list[torch.Tensor] | None = None,
        h_res: torch.Tensor | None = None,
    ) -> list[BackwardFrame]:
        """Add the gradients of one layer, from the last layer to `INPUT_LAYER`, which ends the pass; return the frames
        that are ready to send.
        """
        grad_nNC = self.layout.to_streams(grad_state.detach())
        norms: list[list[torch.Tensor]] = [[], [], []]
        if grad_u is not None and weights and grad_weights:
            self.read_entries = max(self.read_entries, grad_u.numel())
            found = iter(measure_norms([grad_u, *grad_weights, *weights]))
            norms = [list(islice(found, count)) for count in (1, len(grad_weights), len(weights))]
        self.waiting.append(_Gradients(layer, grad_nNC, *norms))
        if h_res is not None:
            self.products.add([h_res.detach()])
        if len(self.waiting) < self.pace.due and layer != INPUT_LAYER:
            return []
        self._measure()
        # After layer 0 only the input follows, which ends the pass: the two are sent together.
        sends = layer == INPUT_LAYER or (layer > 0 and self.pace.sends(sum(len(block[0]) for block in self.measured)))
        return self._fetch_frames() if sends or not self.pace.is_card else []

    def finish(self) -> list[BackwardFrame]:
        """Return the frames of the remaining layers, for a pass that ends before the input."""
        self._measure()
        return self._fetch_frames()

    def _measure(self) -> None:
        """Measure the gradients of the layers added so far as one block."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        self.pace.grow()
        g_KnNC = torch.stack([layer.grad_nNC for layer in waiting]).to(self.dtype)
        merged_KNC = self.layout.merge_grad(g_KnNC)
        measured = measure_gradients(g_KnNC, merged_KNC)
        measured |= _measure_added("backward", GradientBlock(g_KnNC, merged_KNC), g_KnNC)
        inner = [layer for layer in waiting if layer.read]
        if inner:
            groups = [[layer.read, layer.weights_grad, layer.weights] for layer in inner]
            read, grad, weight = join_norms([norms for group in groups for norms in group]).view(-1, 3).unbind(1)
            measured |= {
                "branch_grad_rms": read / self.read_entries**0.5,
                "param_grad_norm": grad,
                "grad_to_weight": grad / weight,
            }
        self.measured.append(([layer.layer for layer in waiting], measured))

    def _fetch_frames(self) -> list[BackwardFrame]:
        """Return the frames of all gradients that are measured; the host waits for the device once."""
        blocks, self.measured = self.measured, []
        fetched = fetch_all([measured for _, measured in blocks])
        # The input, which ends the last block, has no branch: its columns are shorter by one.
        return [
            BackwardFrame(layer=layer, **group)
            for (layers, _), values in zip(blocks, fetched, strict=True)
            for layer, group in zip(layers, to_groups(values, self.cast), strict=True)
        ]


def build_loss_frame(value: float, effects: Mapping[str, float] | None = None) -> LossFrame:
    """Build the frame of the loss, with a status for values that are not finite.

    effects: for an edited run, `loss_base` and, if the output is a distribution, `output_kl`; default None.
    """
    values = {"loss": value, **(effects or {})}
    flags = {key: flag for key, number in values.items() if (flag := to_status(number))}
    return LossFrame(values={key: None if key in flags else number for key, number in values.items()}, status=flags)


def build_mixing_frame(
    means: dict[str, np.ndarray],
    gains: dict[str, tuple[np.ndarray, np.ndarray]],
    gradients: dict[str, np.ndarray],
    cast: type[np.floating],
) -> MixingFrame:
    """Build the frame of the mixing: composites, effective skip connections and mixing gradients as columns over all
    layers, in float64.

    Parameters
    ----------
    means: the result of `ForwardProbe.mean_mixing`.
    gains: further columns as (value, log10).
    gradients: further columns as values.
    cast: type of the effective skip connections, which are as large as the CKA matrix.
    """
    products = Products(means["h_res"]) if "h_res" in means else None
    columns = (measure_composites(means["h_res"], products=products) if products else {}) | gains
    columns |= {key: with_log10(value) for key, value in gradients.items()}
    tables: dict[str, tuple[np.ndarray, LayerStatus]] = {}
    if "h_pre" in means and means["h_pre"].shape[1] > 1:
        mixing = means["h_pre"], means["h_post"], means["h_res"]
        shares = measure_kernel_shares(*mixing)
        columns |= {"kernel_rank": with_log10(count_streams(shares))} | measure_gauge_norms(*mixing, products=products)
        tables["kernel_shares"] = to_stack(shares, np.float64)
    group = to_columns(columns, np.float64)
    weights = means.get("unfolded")
    if "h_pre" in means:  # a layer that reads a matrix of parts has no single weight
        weights = unfold(means["h_pre"], means["h_post"], means["h_res"])
    if weights is not None:
        tables["unfolded"] = to_signed(weights, cast)
    for key, (table, flags) in tables.items():
        group["values"][key] = table
        if flags:
            group["status"][key] = flags
    return MixingFrame(**group)


def _blame(flag: Status, status: dict[str, Status]) -> Status:
    """Return the status of a similarity: `overflow` if the mean over streams is nan because streams overflowed."""
    return "overflow" if flag == "nan" and status.get("act_rms_streams") == "overflow" else flag


def detach_output(output: LayerOutput) -> LayerOutput:
    """Return a layer's output with all of its tensors detached from the graph."""
    return LayerOutput(*(_detach(part) for part in output))


def _detach(part: Any) -> Any:
    """Detach a tensor, or all tensors of a tuple, from the graph."""
    if isinstance(part, tuple):
        return type(part)(*map(_detach, part))
    return part.detach() if part is not None and part.requires_grad else part


def _measure_added(frame: str, block: LayerBlock | GradientBlock, x_KnNC: torch.Tensor) -> dict[str, torch.Tensor]:
    """Measure the `LayerMetric`s of a block of layers, by key."""
    layers, streams, _, width = x_KnNC.shape
    found = {}
    for key, added in LAYER_METRICS.items():
        if added.metric.frame == frame:
            with suppress(NoMixing):  # the column is then left out
                found[key] = added.measure_block(block, layers, streams, width)
    return found


def _drop_missing(group: LayerGroup) -> None:
    """Remove from the group each metric that not all layers have, if its value is nan here."""
    for key in [key for key, flag in group["status"].items() if flag == "nan" and key in SOME_LAYERS]:
        del group["values"][key], group["status"][key]


def stack_reads(reads: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack the weights with which layers read earlier outputs, of lengths 1 to L, into the matrix of effective skip
    connections (L, L + 1), padded with 0.
    """
    size = len(reads) + 1
    return torch.stack([pad(weights, (0, size - len(weights))) for weights in reads])


def _average_mixing(block: LayerBlock) -> dict[str, torch.Tensor]:
    """Return h_pre, h_post (K, n), h_res or h_read (K, n, n) of a block; if dynamic, mean and spread over samples."""
    found = {}
    dynamic = block.h_post.ndim == 3
    read = "h_read" if block.h_pre.ndim == block.h_res.ndim else "h_pre"  # a matrix for each layer
    for key, stacked in ((read, block.h_pre), ("h_post", block.h_post), ("h_res", block.h_res)):
        found[key] = stacked.mean(1) if dynamic else stacked
        if dynamic:
            found[f"{key}_std"] = stacked.std(1, correction=0)
            if key == "h_res":
                found |= {"ds_error_tokens": worst_deviation(stacked), "gauge_remainder": measure_remainder(stacked)}
    return found
