"""Findings on the loss and on training."""

import numpy as np

from mhc_core.findings.gains import DIRECTIONS, NUMBERS
from mhc_core.findings.numerals import format_gain
from mhc_core.findings.words import build_finding, count, find_largest, format_loss, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec

# By input: what the loss is per, and the loss of a uniform guess in nats.
GUESSES = {"text": ("byte", np.log(256.0)), "corpus": ("byte", np.log(256.0)), "digits": ("image", np.log(10.0))}
SAME = np.log10(1.01)  # in decades; smaller changes of a gain count as none


def describe_loss(spec: RunSpec, result: Result) -> Finding | None:
    """Describe the loss, compared with a uniform guess; for a run that trains, before and after training.

    None for inputs without classes.
    """
    if spec.input.kind not in GUESSES:
        return None
    what, uniform = GUESSES[spec.input.kind]
    numbers = {"loss": to_finite(result.loss)}
    if result.steps:
        numbers["loss_untrained"] = to_finite(result.loss_untrained)
        steps = count(_count_updates(result), "step")
        before, after = (_format_loss(value, what, 3) for value in (result.loss_untrained, result.loss))
        text = f"Loss {before} before training, {after} after {steps} (uniform guess: {uniform:.3f})."
    elif numbers["loss"] is None:
        return build_finding("loss", "The loss is not a finite number.", "activation", numbers)
    else:
        text = f"Untrained loss {_format_loss(result.loss, what, 2)} (uniform guess: {uniform:.2f})."
    return build_finding("loss", text, "activation", numbers)


def describe_stop(spec: RunSpec, result: Result) -> Finding | None:
    """Describe at which step training ended early, and why; None if it did not."""
    done = _count_updates(result)
    if done == spec.train.steps:
        return None
    loss = result.steps_status.get("step_loss", {}).get(done)
    what, flag = ("loss", loss) if loss else ("gradient", result.steps_status["step_grad_norm"][done])
    text = f"Training stopped at step {done + 1}: the {what} is {'infinite' if flag == 'overflow' else 'not a number'}."
    return build_finding("stop", text, "gradient", {"updates": done})


def describe_training(spec: RunSpec, result: Result) -> Finding | None:
    """Describe how the largest composite gains changed in training: as initialised, in between, and of the trained
    stack. None without training, or for one stream.
    """
    done = _count_updates(result)
    if not done or spec.streams == 1:
        return None
    histories = {direction: _read_history(result, key, done) for direction, key in DIRECTIONS.items()}
    numbers: dict[str, float | int | None] = {}
    for direction, history in histories.items():
        parts = {"_untrained": history[0], "": history[-1], "_largest": np.nanmax(history)}
        numbers |= {f"{NUMBERS[direction]}{part}": to_finite(value) for part, value in parts.items()}
    steps = count(done, "training step")
    if any(np.isnan(history[-1]) for history in histories.values()):
        before = " and ".join(f"{format_gain(history[0])} {direction}" for direction, history in histories.items())
        text = f"After {steps} {spec.dtype} overflows, and the largest gain is unknown; before, it was {before}."
    else:
        changes = " and ".join(f"{_describe_history(history)} {direction}" for direction, history in histories.items())
        text = f"Over {steps}, the largest gain {changes}."
    return build_finding("training", text, "gain", numbers)


def _read_history(result: Result, key: str, done: int) -> np.ndarray:
    """Return log10 of the largest gain over depth at the first `done` training steps, and of the trained stack."""
    log = result.steps_log10[key.replace("composite", "step")][:done]
    largest = np.where(np.isfinite(log), log, -np.inf).max(1)
    return np.append(largest, find_largest(result, key))


def _describe_history(history: np.ndarray) -> str:
    """Describe how the forward or the backward gain changes during training, from its log10 at each step."""
    first, last, peak = history[0], history[-1], int(np.argmax(history))
    if np.ptp(history) < SAME or (history == first).all():
        return f"stays at {format_gain(last)}"
    if last == first or abs(last - first) < SAME:
        text = f"ends where it began, at {format_gain(last)}"
    else:
        text = f"{'grows' if last > first else 'falls'} from {format_gain(first)} to {format_gain(last)}"
    if history[peak] > max(first, last) + SAME:
        text += f" (peak {format_gain(history[peak])} at step {peak + 1})"
    return text


def _count_updates(result: Result) -> int:
    """Return the number of steps with an update: those with a finite loss and gradient."""
    if not result.steps:
        return 0
    return int((np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])).sum())


def _format_loss(value: float, what: str, decimals: int) -> str:
    return f"{format_loss(value, decimals)} nats/{what}" if np.isfinite(value) else "not a finite number"
