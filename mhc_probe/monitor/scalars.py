"""Report a dozen numbers of each observation to TensorBoard, Weights & Biases, or any writer."""

import logging
from typing import Any

import numpy as np

from mhc_core.record.summary import EndStatus
from mhc_probe.monitor.alarm import Alarm
from mhc_probe.monitor.observation import Observation

PREFIX = "mhc"
ITERATION = f"{PREFIX}/iteration"

logger = logging.getLogger("mhc_core.monitor")


class Scalars:
    """Sends numbers to a writer that the caller provides. Its errors never stop the training.

    A writer has `add_scalar(tag, value, step)`, called once per number, or `log(numbers)`, called once per observation.
    `log` also receives the number of updates, because such a writer counts its own steps.
    """

    link: str | None = None

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self._has_warned = False
        self._has_add = callable(getattr(writer, "add_scalar", None))
        self._alarms = 0
        if not self._has_add and callable(getattr(writer, "define_metric", None)):
            self._call_writer(writer.define_metric, f"{PREFIX}/*", step_metric=ITERATION)

    def take(self, observation: Observation, new: list[Alarm]) -> None:
        """Write the known numbers of an observation to a writer of scalars, such as TensorBoard's."""
        self._alarms += len(new)
        numbers = {f"{PREFIX}/{key}": value for key, value in summarise(observation).items()}
        numbers[f"{PREFIX}/alarms"] = self._alarms
        if not self._has_add:
            self._call_writer(self.writer.log, {ITERATION: observation.iteration, **numbers})
            return
        for tag, value in numbers.items():
            self._call_writer(self.writer.add_scalar, tag, value, observation.iteration)

    def announce(self) -> None:
        """Do nothing: there is no page to announce."""

    def end(self, status: EndStatus, reason: str | None, alarms: list[Alarm], iteration: int) -> None:
        """Do nothing: the caller closes the writer."""

    def _call_writer(self, method: Any, *arguments: Any, **named: Any) -> None:
        """Call a method of the writer. Log its first error, and ignore later ones."""
        try:
            method(*arguments, **named)
        except Exception as error:  # the writer may raise anything, such as when its service is unavailable
            if not self._has_warned:
                logger.warning("%s accepts no numbers; training continues: %s", type(self.writer).__name__, error)
            self._has_warned = True


def summarise(observation: Observation) -> dict[str, float]:
    """Return the known numbers of one observation, by name.

    loss: the loss of the pass. grad_norm: norm of the gradient of all parameters, before clipping. learning_rate: of
    the optimiser's first parameter group. gain_forward, gain_backward: largest composite gain over depth, log10.
    sum_error: largest difference of a row or column sum of H_res from 1. activation: size of the last layer's state,
    log10. activation_growth: ratio of that size to the first layer's, log10. gradient_first_to_last: ratio of the first
    layer's gradient to the last layer's, log10. stream_share: share of the largest stream in the squared size of the
    last layer's state. stream_cosine: mean cosine between streams after the last layer.
    """
    layers = observation.result.layers
    found: dict[str, float | None] = {
        "loss": None if observation.loss_frame is None else observation.loss_frame.values["loss"],
        "grad_norm": observation.grad_norm,
        "learning_rate": observation.rate,
        **_summarise_sizes(observation),
    }
    if observation.result.streams > 1:
        errors = [np.abs(layers[f"h_res_{side}_sum"] - 1) for side in ("row", "col") if f"h_res_{side}_sum" in layers]
        found["gain_forward"] = _find_largest(observation, "composite_gain_fwd")
        found["gain_backward"] = _find_largest(observation, "composite_gain_bwd")
        found["sum_error"] = float(np.max(errors)) if errors else None
        found["stream_share"] = _find_last(layers.get("act_share_max"))
        found["stream_cosine"] = _find_last(layers.get("stream_cos"))
    return {key: float(value) for key, value in found.items() if value is not None and np.isfinite(value)}


def _summarise_sizes(observation: Observation) -> dict[str, float | None]:
    """Return activation, activation_growth and gradient_first_to_last of `summarise`, as log10."""
    states, gradients = observation.read_log10("act_rms"), observation.read_log10("grad_rms")
    found: dict[str, float | None] = {}
    if states is not None:
        found |= {"activation": float(states[-1]), "activation_growth": float(states[-1] - states[0])}
    if gradients is not None:
        found["gradient_first_to_last"] = float(gradients[0] - gradients[-1])
    return found


def _find_largest(observation: Observation, key: str) -> float | None:
    """Return the largest log10 of a column over the layers; None if it is unknown."""
    column = observation.read_log10(key)
    return None if column is None or np.isnan(column).all() else float(np.nanmax(column))


def _find_last(column: np.ndarray | None) -> float | None:
    return None if column is None else float(column[-1])
