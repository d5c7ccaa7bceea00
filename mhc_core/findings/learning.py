"""Findings on the loss, and on what training did."""

import numpy as np

from mhc_core.findings.gains import DIRECTIONS, NUMBERS
from mhc_core.findings.words import build_finding, count, find_largest, format_magnitude, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec

# What is guessed, and the loss in nats of a reader that knows nothing about it.
GUESSES = {"text": ("a byte", np.log(256.0)), "digits": ("an image", np.log(10.0))}
SAME = np.log10(1.01)  # decades by which a gain has to change to be said to


def describe_loss(spec: RunSpec, result: Result) -> Finding | None:
    """The loss beside that of guessing evenly; before and after training where there was any."""
    if spec.input.kind not in GUESSES:
        return None
    what, evenly = GUESSES[spec.input.kind]
    numbers = {"loss": to_finite(result.loss)}
    if result.steps:
        numbers["loss_untrained"] = to_finite(result.loss_untrained)
        steps = count(_count_updates(result), "step")
        before, after = (_loss(value, what) for value in (result.loss_untrained, result.loss))
        text = f"Loss {before} before training, {after} after {steps}"
    elif numbers["loss"] is None:
        return build_finding("loss", "The loss is not a finite number.", "activation", numbers)
    else:
        text = f"Loss {_loss(result.loss, what)} before training"
    return build_finding("loss", f"{text}; guessing evenly costs {evenly:.3f}.", "activation", numbers)


def describe_stop(spec: RunSpec, result: Result) -> Finding | None:
    """Where training ended early, and on what."""
    done = _count_updates(result)
    if done == spec.train.steps:
        return None
    loss = result.steps_status.get("step_loss", {}).get(done)
    what, flag = ("loss", loss) if loss else ("gradient", result.steps_status["step_grad_norm"][done])
    text = f"Training stopped at step {done + 1}: the {what} is {'infinite' if flag == 'overflow' else 'not a number'}."
    return build_finding("stop", text, "gradient", {"updates": done})


def describe_training(spec: RunSpec, result: Result) -> Finding | None:
    """What training did to the largest composite gains: as initialised, on the way, and of the trained stack."""
    done = _count_updates(result)
    if not done or spec.streams == 1:
        return None
    told: list[str] = []
    numbers: dict[str, float | int | None] = {}
    for direction, key in DIRECTIONS.items():
        text, found = _describe_course(result, key, done)
        told.append(f"{text} {direction}")
        numbers |= {f"{NUMBERS[direction]}{part}": value for part, value in found.items()}
    text = f"Through {count(done, 'step')} of training the largest composite gain {' and '.join(told)}."
    return build_finding("training", text, "gain", numbers)


def _describe_course(result: Result, key: str, done: int) -> tuple[str, dict[str, float | None]]:
    """One direction: how it goes, and its numbers."""
    log = result.steps_log10[key.replace("composite", "step")][:done]
    largest = np.where(np.isfinite(log), log, -np.inf).max(1)
    first, last, peak = float(largest[0]), find_largest(result, key), int(np.argmax(largest))
    text = f"stays at {format_magnitude(last)}"
    if not abs(last - first) < SAME:
        text = f"{'grows' if last > first else 'falls'} from {format_magnitude(first)} to {format_magnitude(last)}"
    if largest[peak] > max(first, last) + SAME:
        text += f" (with {format_magnitude(largest[peak])} at step {peak + 1})"
    numbers = {"_untrained": first, "": last, "_largest": max(largest[peak], last)}
    return text, {part: to_finite(value) for part, value in numbers.items()}


def _count_updates(result: Result) -> int:
    """Steps that ended in an update: those with a finite loss and gradient."""
    if not result.steps:
        return 0
    return int((np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])).sum())


def _loss(value: float, what: str) -> str:
    return f"{value:.3f} nats {what}" if np.isfinite(value) else "not a finite number"
