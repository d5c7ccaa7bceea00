"""Find alarms that need several observations: mixing that does not change, a signal or a loss that jumps."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mhc_core.findings.words import format_magnitude, format_number
from mhc_probe.adapter import LayerSite
from mhc_probe.monitor.alarm import Alarm, Limits
from mhc_probe.monitor.observation import Observation

MAX_POINTS = 16  # number of observations that are kept
COMPARED = 8  # number of losses whose median is the level before a jump
WINDOW = 4  # number of latest observations in which a layer may have changed before the loss
MOVED = math.log10(3)  # decades; a layer with a larger change has left its usual range
NOISE = 6 * 1.4826  # a rise of the loss by fewer median absolute deviations is noise
LEARNED = 0.99  # fraction of the first loss; a smaller loss shows that the model learns
# Tracked columns, and their names in sentences.
TRACKED = {
    "branch_out_rms": "its branch's output",
    "act_rms": "the signal after it",
    "grad_rms": "the gradient at it",
    "param_grad_norm": "the gradient of its weights",
}


@dataclass(frozen=True)
class _Point:
    iteration: int
    loss: float | None
    columns: dict[str, np.ndarray]


class History:
    """Keeps losses and columns of past observations, and finds alarms by comparing them with the latest."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.points: deque[_Point] = deque(maxlen=MAX_POINTS)
        self.first_loss: float | None = None
        self._first: tuple[int, np.ndarray, list[float]] | None = None
        self._has_moved = False

    def find_alarms(self, observation: Observation, sites: Sequence[LayerSite]) -> list[Alarm]:
        """Store this observation and return its alarms. `sites` are the layers of the observation."""
        loss = _read_loss(observation)
        columns = {key: observation.read_log10(key) for key in TRACKED}
        known = {key: column for key, column in columns.items() if column is not None}
        self.points.append(_Point(observation.iteration, loss, known))
        if self.first_loss is None and loss is not None and math.isfinite(loss):
            self.first_loss = loss
        mixing = [item for site in sites for item in site.mixing if item.requires_grad]
        return [*self._check_mixing(observation, loss, mixing), *self._check_loss(loss), *self._check_size()]

    # ---- mixing

    def _check_mixing(
        self, observation: Observation, loss: float | None, mixing: Sequence[nn.Parameter]
    ) -> Iterator[Alarm]:
        """Raise an alarm if H_res has not changed after `patience` updates, and the loss has fallen or is unknown."""
        h_res = observation.result.matrices.get("h_res")
        if self._has_moved or not mixing or h_res is None or observation.result.streams == 1:
            return
        if not np.isfinite(h_res).all():
            return
        now = h_res.astype(np.float64), _digest(mixing)
        if self._first is None:
            self._first = (observation.iteration, *now)
            return
        updates = observation.iteration - self._first[0]
        moved = float(np.abs(now[0] - self._first[1]).max())
        # Dynamic mixing differs between batches even if none of its parameters changes.
        is_fixed = now[1] == self._first[2]
        if not is_fixed and moved >= self.limits.unmoved:
            self._has_moved = True
        elif updates >= self.limits.patience and self._has_learned(loss):
            what = f"no entry of H_res has moved by more than {format_number(moved)}"
            if is_fixed:
                what = "none of its parameters has changed"
            text = f"Mixing does not learn: in {updates} updates {what} at any layer{self._describe_fall(loss)}."
            yield Alarm(kind="unmoved", text=text, layer=None, value=moved, limit=self.limits.unmoved, panel="mixing")

    def _has_learned(self, loss: float | None) -> bool:
        return loss is None or (self.first_loss is not None and loss <= LEARNED * self.first_loss)

    def _describe_fall(self, loss: float | None) -> str:
        """Return in words how far the loss has fallen; "" if it is unknown."""
        if loss is None:
            return ""
        return f", while the loss fell from {format_number(self.first_loss or 0.0)} to {format_number(loss)}"

    # ---- signal

    def _check_size(self) -> Iterator[Alarm]:
        """Raise an alarm if the signal has grown strongly since the previous observation.

        Norms can hide such growth, so that the loss does not show it.
        """
        if len(self.points) < 2 or "act_rms" not in self.points[-1].columns:
            return
        last, now = self.points[-2], self.points[-1]
        change = _compare([last], now, "act_rms")
        layer = int(change.argmax())
        if not math.log10(self.limits.surge) < change[layer] < math.inf:
            return
        factor, updates = format_magnitude(float(change[layer])), now.iteration - last.iteration
        text = (
            f"The signal surges: after layer {layer + 1} it is {factor} times as large as {updates} updates before, "
            f"above {format_number(self.limits.surge)}."
        )
        yield Alarm(kind="surge", text=text, layer=layer, value=10 ** float(change[layer]), limit=self.limits.surge,
                    panel="activation")  # fmt: skip

    # ---- loss

    def _check_loss(self, loss: float | None) -> Iterator[Alarm]:
        """Raise an alarm if the loss jumps far above its recent median."""
        before = [p.loss for p in list(self.points)[:-1] if p.loss is not None and math.isfinite(p.loss)][-COMPARED:]
        if loss is None or not before or self.first_loss is None:
            return
        level = float(np.median(before))
        noise = NOISE * float(np.median(np.abs(np.array(before) - level)))
        limit = level + max(self.limits.spike * abs(self.first_loss), noise)
        if loss <= limit:
            return
        layer, cause = self._find_first_to_move()
        height = format_number(loss) if math.isfinite(loss) else "a value that is not finite"
        text = f"The loss jumps to {height}, from {format_number(level)}. {cause}"
        yield Alarm(kind="spike", text=text, layer=layer, value=loss, limit=limit, panel="training")

    def _find_first_to_move(self) -> tuple[int | None, str]:
        """Return the layer that left its usual range first, and a sentence about it; None if no layer did."""
        points = list(self.points)
        start = max(1, len(points) - WINDOW)
        for point in points[start:]:
            changes = {key: _compare(points[:start], point, key) for key in point.columns}
            moved = {key: change for key, change in changes.items() if np.abs(change).max() > MOVED}
            if moved:
                return _describe_moved(moved, point.iteration)
        if np.isnan(points[-1].columns.get("act_rms", np.nan)).any():
            return None, "Which layer moved first is not known: at the same observation signals are not finite."
        return None, f"No layer had moved by more than a factor of {10**MOVED:.0f} before."


def _compare(before: list[_Point], point: _Point, key: str) -> np.ndarray:
    """Return by how many decades a column differs from its median over earlier observations, (L). 0 if unknown."""
    columns = [other.columns[key] for other in before if key in other.columns]
    if not columns:
        return np.zeros_like(point.columns[key])
    with np.errstate(invalid="ignore"):
        change = point.columns[key] - np.median(columns, axis=0)
    return np.where(np.isnan(change), 0.0, change)


def _describe_moved(moved: dict[str, np.ndarray], iteration: int) -> tuple[int, str]:
    """Return the layer that changed most at one observation, and a sentence about it."""
    layers = int((np.abs(np.stack([*moved.values()])) > MOVED).any(0).sum())
    key = max(moved, key=lambda key: float(np.abs(moved[key]).max()))
    layer = int(np.abs(moved[key]).argmax())
    change = float(moved[key][layer])
    first = f"Layer {layer + 1} moved first" if layers == 1 else f"{layers} layers moved first, layer {layer + 1} most"
    how = f"{'grew' if change > 0 else 'shrank'} {format_magnitude(abs(change))}"
    return (
        layer,
        f"{first}, seen after {iteration} updates: {TRACKED[key]} {how}{' times' if math.isfinite(change) else ''}.",
    )


def _read_loss(observation: Observation) -> float | None:
    """Return the loss; inf if it is not finite, None if it is unknown."""
    frame = observation.loss_frame
    if frame is None:
        return None
    value = frame.values["loss"]
    return math.inf if value is None else float(value)


@torch.no_grad()
def _digest(parameters: Sequence[nn.Parameter]) -> list[float]:
    """Return the sum and the sum of squares of every parameter, to see whether any parameter has changed."""
    found = [part for item in parameters for part in (item.double().sum(), item.double().square().sum())]
    return torch.stack([part.cpu() for part in found]).tolist()
