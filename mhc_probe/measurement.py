"""Build the frames of a recorded pass with the probes that measure our own stacks.

Shapes: n streams, N samples, C width, L layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mhc_core.edits import fold
from mhc_core.findings import summarise_captured
from mhc_core.findings.captured import describe_start_apart
from mhc_core.findings.depth import describe_several_reads
from mhc_core.layers.connections import DepthReads, Made, Mixing
from mhc_core.measure.layout import Layout, max_together
from mhc_core.measure.probe import INPUT_LAYER, BackwardProbe, ForwardProbe, build_loss_frame, build_mixing_frame
from mhc_core.measure.run import describe_device, describe_versions
from mhc_core.metrics.effects import measure_distance, measure_divergence
from mhc_core.metrics.gradients import join_norms
from mhc_core.metrics.token_products import TokenProducts, to_gains
from mhc_core.record.columns import fetch
from mhc_core.record.frames import AnyFrame, BackwardFrame, LossFrame, StartFrame
from mhc_core.record.result import Result
from mhc_core.record.source import TraceSource
from mhc_core.record.start import CapturedInput
from mhc_core.spec import EditSpec, SpecError
from mhc_core.stack import LayerOutput
from mhc_probe.edits import ModelEdits
from mhc_probe.missing_values import mark_unknown
from mhc_probe.mixing import add_gates, find_mixings
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
from mhc_probe.recording.parameter_norms import ParameterNorms


@dataclass(frozen=True)
class Unedited:
    """The pass without edits, with which an edited pass is compared.

    Attributes
    ----------
    recorded: the pass without edits, of the same samples.
    applied: the applied edits, with the layers that they changed.
    edits: the edits themselves.
    logits, logits_edited: (N, V) of each pass; [] if the model returns none.
    """

    recorded: JoinedPasses
    applied: ModelEdits
    edits: Sequence[EditSpec]
    logits: Sequence[torch.Tensor]
    logits_edited: Sequence[torch.Tensor]


@torch.no_grad()
def build_frames(
    recorded: JoinedPasses,
    norms: ParameterNorms,
    source: TraceSource,
    autocast: torch.dtype | None,
    unedited: Unedited | None = None,
) -> list[AnyFrame]:
    """Return the frames of a recorded pass of a model, in the order of a run's frames.

    unedited: the pass without edits, if the recorded pass is edited.

    Raises
    ------
    SpecError
        If the model's code uses another copy of a state that an edit replaces, so that the edit is not complete.
    """
    layout = build_layout(recorded)
    reads = list_reads(recorded)
    mixings = [] if reads else find_mixings(recorded, autocast, None if unedited is None else unedited.recorded)
    if unedited is not None:
        _require_replaced(recorded, unedited)
        mixings = [fold(mixing, unedited.applied.matrices.get(layer)) for layer, mixing in enumerate(mixings)]
    made = add_gates(mixings, recorded)
    effects = {} if unedited is None else measure_effects(recorded, unedited)
    outputs = {} if unedited is None else measure_output_effects(unedited)
    start = StartFrame(
        source=source,
        device=describe_device(layout.device),
        versions=describe_versions(),
        layers=layout.depth,
        streams=recorded.state_nNC.shape[0],
        width=recorded.state_nNC.shape[2],
        blocks=[layer.name for layer in recorded.layers],
        input=CapturedInput(samples=layout.samples),
    )
    forward = ForwardProbe(layout)
    frames: list[AnyFrame] = [start, *_build_forward_frames(forward, recorded, reads or made)]
    frames += [] if recorded.loss is None and not outputs else [_build_loss_frame(recorded.loss, outputs)]
    backward = BackwardProbe(layout)
    frames += _build_backward_frames(backward, recorded, norms)
    products = _multiply_backward(mixings, max_together(layout))
    gains = {} if reads else to_gains(fetch(forward.products.columns() | products.columns()))
    frames.append(
        build_mixing_frame(
            forward.mean_mixing(), gains, _collect_mixing_norms(recorded, norms) | effects, backward.cast
        )
    )
    frames = mark_unknown(frames, recorded, mixings)
    return [*frames, summarise(frames, recorded, () if unedited is None else unedited.edits)]


def measure_effects(recorded: JoinedPasses, unedited: Unedited) -> dict[str, np.ndarray]:
    """Measure the relative distance of states, and gradients if both passes have any, from those without edits, (L)."""
    device = recorded.state_nNC.device
    unknown = torch.tensor(float("nan"), dtype=torch.float64, device=device)
    pairs = list(zip(recorded.layers, unedited.recorded.layers, strict=True))
    found = {"effect_state": [measure_distance(one.after_nNC, base.after_nNC) for one, base in pairs]}
    gradients = [(one.grad_after_nNC, base.grad_after_nNC) for one, base in pairs]
    if any(one is not None and base is not None for one, base in gradients):
        found["effect_grad"] = [
            unknown if one is None or base is None else measure_distance(one, base) for one, base in gradients
        ]
    return fetch({key: torch.stack(column) for key, column in found.items()})


def measure_output_effects(unedited: Unedited) -> dict[str, float]:
    """Return the loss without edits and the KL divergence of the output, if the model returns a loss and logits."""
    found = {} if unedited.recorded.loss is None else {"loss_base": unedited.recorded.loss}
    pairs = list(zip(unedited.logits, unedited.logits_edited, strict=True))
    if pairs:
        rows = [float(measure_divergence(base, edited)) * len(base) for base, edited in pairs]
        found["output_kl"] = sum(rows) / sum(len(base) for base, _ in pairs)
    return found


def _require_replaced(recorded: JoinedPasses, unedited: Unedited) -> None:
    """Raise SpecError if a layer obeys its coefficients without edits, but no longer with an edited state."""
    for index, (layer, base) in enumerate(zip(recorded.layers, unedited.recorded.layers, strict=True)):
        was_known = base.chosen is not None and layer.entered_nNC is not None
        if was_known and layer.chosen is None and bool(torch.isfinite(layer.after_nNC).all()):
            got = f"layer {index}, whose code keeps another copy of the state"
            raise SpecError("edits", got, "layers that use the state that enters their connection")


def _build_loss_frame(loss: float | None, outputs: Mapping[str, float]) -> LossFrame:
    """Build the frame of the loss. The loss is `unknown` if the model returns logits but no loss."""
    frame = build_loss_frame(float("nan") if loss is None else loss, outputs)
    return frame if loss is not None else replace(frame, status=frame.status | {"loss": "unknown"})


def list_reads(recorded: JoinedPasses) -> list[DepthReads]:
    """Return the weights with which each layer reads earlier outputs; [] if layers are joined by mixing."""
    return [layer.reads for layer in recorded.layers if layer.reads is not None]


def summarise(frames: Sequence[AnyFrame], recorded: JoinedPasses, edits: Sequence[EditSpec] = ()) -> AnyFrame:
    """Return the summary frame for the frames of a pass, which may have been edited."""
    result = Result()
    for frame in frames:
        result.add(frame)
    # The state after a layer is what the next layer reads.
    several = [place for place, layer in enumerate(recorded.layers[:-1], 1) if layer.reads_count > 1]
    starts_apart = any(not torch.equal(stream, recorded.state_nNC[0]) for stream in recorded.state_nNC)
    notes = [
        describe_several_reads(several, result.depth),
        describe_start_apart(result.streams) if starts_apart and torch.isfinite(recorded.state_nNC).all() else None,
    ]
    return summarise_captured(str(recorded.dtype).removeprefix("torch."), result, notes, edits)


def build_layout(recorded: JoinedPasses) -> Layout:
    """Return the layout of a recorded pass, whose states are (n, N, C), for the measuring probes."""
    streams, samples, width = recorded.state_nNC.shape
    return Layout(
        depth=len(recorded.layers),
        samples=samples,
        state_width=streams * width,
        dtype=recorded.dtype,
        device=recorded.state_nNC.device,
        to_streams=lambda state: state,
        merge=lambda x: x.mean(-3),
        merge_grad=lambda grad: grad.sum(-3),
        has_mixing=not list_reads(recorded),
    )


def _build_forward_frames(probe: ForwardProbe, recorded: JoinedPasses, mixings: Sequence[Made]) -> list[AnyFrame]:
    """Return the frames of the forward pass, from recorded states and mixing."""
    frames: list[AnyFrame] = [*probe.observe_input(recorded.state_nNC)]
    state = recorded.state_nNC
    for index, (layer, mixing) in enumerate(zip(recorded.layers, mixings, strict=True)):
        u_NC = state[0] if layer.u_NC is None and len(state) == 1 else layer.u_NC
        entered, state = state if layer.entered_nNC is None else layer.entered_nNC, layer.after_nNC
        unknown = torch.full_like(state[0], float("nan"))
        u_NC, y_NC = (unknown if part is None else part for part in (u_NC, layer.y_NC))
        frames += probe.observe(index, LayerOutput(state=state, u=u_NC, y=y_NC, mixing=mixing, entered=entered))
    return frames


def _build_backward_frames(probe: BackwardProbe, recorded: JoinedPasses, norms: ParameterNorms) -> list[BackwardFrame]:
    """Return the frames of the layers that received a gradient, the last layer first."""
    frames: list[BackwardFrame] = []
    below = [recorded.grad_input_nNC, *(layer.grad_after_nNC for layer in recorded.layers)]
    for index in reversed(range(len(recorded.layers))):
        layer = recorded.layers[index]
        if layer.grad_after_nNC is None:
            continue
        gradients, weights = norms.collect(layer.weights, layer.grad_after_nNC.device)
        nothing = [layer.grad_after_nNC.new_zeros(())]
        grad_u = _find_read_gradient(layer, below[index], is_first=index == 0)
        frames += probe.observe(index, layer.grad_after_nNC, grad_u, weights or nothing, gradients or nothing)
    if recorded.grad_input_nNC is not None:
        frames += probe.observe(INPUT_LAYER, recorded.grad_input_nNC)
    return frames + probe.finish()


def _find_read_gradient(layer: JoinedLayer, grad_state: torch.Tensor | None, *, is_first: bool) -> torch.Tensor:
    """Return the gradient at the branch's input, (N, C); (1, 1) and nan if unknown.

    In a residual layer without a recorded gradient, it is the gradient of the entering state without the part that
    passes through the skip path. If layers read earlier outputs, only the branch uses the state, so that both gradients
    are equal, except in the first layer, where the embedding is also a source.
    """
    assert layer.grad_after_nNC is not None
    unknown = torch.full((1, 1), float("nan"), device=layer.grad_after_nNC.device)
    if layer.grad_u_NC is not None and layer.subtracts_read:
        return unknown if layer.h_post is None else layer.grad_u_NC - _find_written_gradient(layer, layer.h_post)
    if layer.grad_u_NC is not None:
        return layer.grad_u_NC
    if layer.reads is not None and grad_state is not None and not is_first:
        return grad_state[0]
    if layer.u_NC is None and grad_state is not None and len(grad_state) == 1 and layer.h_res:
        return grad_state[0].double() - layer.h_res[0].double() * layer.grad_after_nNC[0].double()
    return unknown


def _find_written_gradient(layer: JoinedLayer, h_post: torch.Tensor) -> torch.Tensor:
    """Return the gradient at the branch's output, (N, C), from that of the state after the layer."""
    assert layer.grad_after_nNC is not None, "a gradient has arrived"
    weights = h_post.double().expand(layer.grad_after_nNC.shape[1], -1)
    return torch.einsum("bn,nbc->bc", weights, layer.grad_after_nNC.double())


def _multiply_backward(mixings: Sequence[Mixing], together: int) -> TokenProducts:
    """Multiply each sample's mixing matrices, from the last layer to the first."""
    products = TokenProducts(downwards=True, together=together)
    products.add([mixing.h_res for mixing in reversed(mixings)])
    return products


def _collect_mixing_norms(recorded: JoinedPasses, norms: ParameterNorms) -> dict[str, np.ndarray]:
    """Return the column (L) of gradient norms of the mixing's parameters; nan if a layer's have no gradient.

    {} if no layer's mixing has a gradient.
    """
    groups = [[norms.gradient[p] for p in layer.mixing if p in norms.gradient] for layer in recorded.layers]
    if not any(groups):
        return {}
    device = recorded.state_nNC.device
    unknown = [torch.tensor(float("nan"), dtype=torch.float64, device=device)]
    return fetch({"mixing_grad_norm": join_norms([[norm.to(device) for norm in group] or unknown for group in groups])})
