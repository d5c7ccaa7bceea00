"""Find the alarms that a single observation of a training can raise, and the alarm about weight decay."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from mhc_core.findings.words import format_magnitude, format_number
from mhc_probe.monitor.alarm import Alarm, Limits
from mhc_probe.monitor.decay import Decay
from mhc_probe.monitor.observation import Observation

EXACT = 1e-2  # largest error of sums that are normalised last, in any precision
LITTLE = 0.01  # fraction of the mixing parameters below which mixing counts as uniform


def find_alarms(observation: Observation, limits: Limits) -> list[Alarm]:
    """Return the alarms that one observation of a training raises."""
    return [alarm for check in CHECKS for alarm in check(observation, limits)]


def check_finite(observation: Observation, limits: Limits) -> Iterator[Alarm]:
    """Yield an alarm if loss, activations or gradients are not finite."""
    frame = observation.loss_frame
    if frame is not None and frame.status:
        yield _build_lost("The loss is not a finite number.", None, "loss")
    states = _find_lost(observation, "act_rms")
    if len(states):
        text = f"Activations are not finite from layer {states[0] + 1} of {observation.result.depth} on."
        yield _build_lost(text, int(states[0]), "activation")
    gradients = _find_lost(observation, "grad_rms")
    if len(gradients):
        text = f"Gradients are not finite from layer {gradients[-1] + 1} of {observation.result.depth} down."
        yield _build_lost(text, int(gradients[-1]), "gradient")


def check_gain(observation: Observation, limits: Limits) -> Iterator[Alarm]:
    """Raise an alarm if the composite gain of the mixing exceeds its limit, forward or backward."""
    for direction, key in (("forward", "composite_gain_fwd"), ("backward", "composite_gain_bwd")):
        log10 = observation.read_log10(key)
        if log10 is None or observation.result.streams == 1 or np.isnan(log10).all():
            continue
        layer = int(np.nanargmax(log10))
        if log10[layer] > math.log10(limits.gain):
            through = f"layers 1 to {layer + 1}" if direction == "forward" else f"layers {layer + 1} to {len(log10)}"
            text = (
                f"The mixing of {through} together has a {direction} gain of {format_magnitude(float(log10[layer]))}, "
                f"above {format_number(limits.gain)}."
            )
            value = 10 ** float(log10[layer]) if log10[layer] < 308 else math.inf
            yield Alarm(
                kind="gain", text=text, layer=layer, value=value, limit=limits.gain, panel="gain", place=direction
            )


def check_sums(observation: Observation, limits: Limits) -> Iterator[Alarm]:
    """Raise an alarm if row sums of H_res are exact and column sums are not, or the reverse.

    The last half of a Sinkhorn round makes one kind exact; the other is near 1 if the rounds have converged. Mixing
    without constraints has no exact sums; for it, the alarm about the gain applies.
    """
    layers = observation.result.layers
    if observation.result.streams == 1 or "h_res_col_sum" not in layers:
        return
    columns, rows = (np.abs(layers[f"h_res_{side}_sum"].astype(np.float64) - 1) for side in ("col", "row"))
    for name, other, errors_Ln, exact_Ln in (("column", "row", columns, rows), ("row", "column", rows, columns)):
        if not (np.isfinite(errors_Ln).all() and exact_Ln.max() < EXACT and errors_Ln.max() > limits.sums):
            continue
        layer, stream = (int(index) for index in np.unravel_index(errors_Ln.argmax(), errors_Ln.shape))
        worst = float(errors_Ln[layer, stream])
        text = (
            f"A {name} sum of H_res is adrift: that of stream {stream + 1} at layer {layer + 1} is off 1 by "
            f"{format_number(worst)}, more than {format_number(limits.sums)}, while every {other} sums to 1."
        )
        yield Alarm(kind="sums", text=text, layer=layer, value=worst, limit=limits.sums, panel="mixing", place=name)


def check_streams(observation: Observation, limits: Limits) -> Iterator[Alarm]:
    """Raise an alarm if a stream has nearly nothing, or nearly all, of the squared size of the last state."""
    sizes = observation.result.layers.get("act_rms_streams")
    if sizes is None or observation.result.streams == 1:
        return
    squares = sizes[-1].astype(np.float64) ** 2
    if not (np.isfinite(squares).all() and squares.sum() > 0):
        return
    shares, even, layer = squares / squares.sum(), 1 / len(squares), len(sizes) - 1
    for stream in map(int, np.flatnonzero(shares < limits.dead * even)):
        text = (
            f"Stream {stream + 1} is dying: at layer {layer + 1} it holds {_format_percent(shares[stream])} of the "
            f"squared size of all streams, where an even share is {_format_percent(even)}."
        )
        yield Alarm(kind="dead", text=text, layer=layer, value=float(shares[stream]), limit=limits.dead * even,
                    panel="activation", place=str(stream))  # fmt: skip
    stream = int(shares.argmax())
    if shares[stream] > limits.dominant:
        text = (
            f"Stream {stream + 1} dominates: at layer {layer + 1} it holds {_format_percent(shares[stream])} of the "
            f"squared size of all streams, where an even share is {_format_percent(even)}."
        )
        yield Alarm(kind="dominant", text=text, layer=layer, value=float(shares[stream]), limit=limits.dominant,
                    panel="activation", place=str(stream))  # fmt: skip


def check_gradient(observation: Observation, limits: Limits) -> Iterator[Alarm]:
    """Raise an alarm if the gradient shrinks too much between the last layer and an earlier one."""
    log10 = observation.read_log10("grad_rms")
    if log10 is None or not np.isfinite(log10[-1]):
        return
    known = ~np.isnan(log10) & (log10 < np.inf)
    small = np.flatnonzero(known & (log10 - log10[-1] < math.log10(limits.vanished)))
    if not len(small):
        return
    top, least = int(small[-1]), int(small[np.argmin(log10[small])])
    ratio = float(log10[least] - log10[-1])
    text = (
        f"Gradients vanish below layer {top + 2}: at layer {least + 1} their size is {format_magnitude(ratio)} of that "
        f"at layer {len(log10)}."
    )
    yield Alarm(kind="vanished", text=text, layer=least, value=10**ratio, limit=limits.vanished, panel="gradient")


def check_decay(observation: Observation, decay: Decay | None, updates: int | None, limits: Limits) -> Iterator[Alarm]:
    """Raise an alarm if weight decay alone leaves too little of the mixing parameters until the last planned update.

    Without a planned number of updates, use what it has left until now.
    """
    if decay is None:
        return
    end = observation.iteration if updates is None else max(updates, observation.iteration)
    log_share = decay.predict_log_share(end - observation.iteration)
    if log_share >= math.log(limits.decay):
        return
    share, until = math.exp(log_share), observation.iteration + decay.count_updates(LITTLE)
    by = f"by update {end}" if end > observation.iteration else f"in {end} updates"
    halves = f"halves them every {round(decay.half_life)} updates" if math.isfinite(decay.half_life) else "has ended"
    decays = f", {_format_percent(LITTLE)} is left at update {math.ceil(until)}" if math.isfinite(until) else ""
    text = (
        f"Weight decay alone leaves {_format_percent(share)} of the mixing parameters {by}: it {halves}{decays}. "
        "Logits that decay to 0 make mixing uniform, as far as gradients do not act against it."
    )
    yield Alarm(kind="decay", text=text, layer=None, value=share, limit=limits.decay, panel="mixing")


CHECKS: tuple[Callable[[Observation, Limits], Iterator[Alarm]], ...] = (
    check_finite,
    check_gain,
    check_sums,
    check_streams,
    check_gradient,
)


def _build_lost(text: str, layer: int | None, place: str) -> Alarm:
    """Build the alarm of values that are not finite."""
    panel = {"loss": "training"}.get(place, place)
    return Alarm(kind="lost", text=text, layer=layer, value=math.nan, limit=math.inf, panel=panel, place=place)


def _find_lost(observation: Observation, key: str) -> np.ndarray:
    """Return the layers whose value overflowed or is nan, but not those whose value is unknown."""
    flags = observation.result.status.get(key, {})
    return np.array(sorted(layer for layer, flag in flags.items() if flag in ("overflow", "nan")), dtype=int)


def _format_percent(share: float) -> str:
    return f"{format_number(100 * float(share))} %"
