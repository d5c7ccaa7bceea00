"""Findings on the loss, and on what training did."""

import numpy as np

from mhc_core.findings.gains import DIRECTIONS, NUMBERS
from mhc_core.findings.words import (
    build_finding,
    count,
    find_largest,
    format_loss,
    format_magnitude,
    to_finite,
)
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec

# What is guessed, and the loss in nats of a reader that knows nothing about it.
GUESSES = {"text": ("a byte", np.log(256.0)), "corpus": ("a byte", np.log(256.0)), "digits": ("an image", np.log(10.0))}
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
    courses = {direction: _read_course(result, key, done) for direction, key in DIRECTIONS.items()}
    numbers: dict[str, float | int | None] = {}
    for direction, course in courses.items():
        parts = {"_untrained": course[0], "": course[-1], "_largest": np.nanmax(course)}
        numbers |= {f"{NUMBERS[direction]}{part}": to_finite(value) for part, value in parts.items()}
    steps = count(done, "step")
    if any(np.isnan(course[-1]) for course in courses.values()):
        before = " and ".join(f"{format_magnitude(course[0])} {direction}" for direction, course in courses.items())
        text = (
            f"After {steps} of training {spec.dtype} overflows, and the largest composite gain is not known; "
            f"before it was {before}."
        )
    else:
        told = " and ".join(f"{_describe_course(course)} {direction}" for direction, course in courses.items())
        text = f"Through {steps} of training the largest composite gain {told}."
    return build_finding("training", text, "gain", numbers)


def _read_course(result: Result, key: str, done: int) -> np.ndarray:
    """log10 of the largest gain over depth at each of these steps, before its update, and of the trained stack."""
    log = result.steps_log10[key.replace("composite", "step")][:done]
    largest = np.where(np.isfinite(log), log, -np.inf).max(1)
    return np.append(largest, find_largest(result, key))


def _describe_course(course: np.ndarray) -> str:
    """How one direction goes."""
    first, last, peak = course[0], course[-1], int(np.argmax(course))
    if np.ptp(course) < SAME or (course == first).all():
        return f"stays at {format_magnitude(last)}"
    if last == first or abs(last - first) < SAME:
        text = f"ends where it began, at {format_magnitude(last)}"
    else:
        text = f"{'grows' if last > first else 'falls'} from {format_magnitude(first)} to {format_magnitude(last)}"
    if course[peak] > max(first, last) + SAME:
        text += f" (with {format_magnitude(course[peak])} at step {peak + 1})"
    return text


def _count_updates(result: Result) -> int:
    """Steps that ended in an update: those with a finite loss and gradient."""
    if not result.steps:
        return 0
    return int((np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])).sum())


def _loss(value: float, what: str) -> str:
    return f"{format_loss(value)} nats {what}" if np.isfinite(value) else "not a finite number"
