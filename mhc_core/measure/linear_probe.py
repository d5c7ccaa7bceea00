"""Linear probes: how well a linear map predicts a property of a token from one stream, compared with a guess.

A probe is a ridge regression of one-hot targets on the standardised features of a stream. It is fitted in closed form
on one half of the data, and its accuracy is measured on the other half:

    W = (X^T X + l N I)^-1 X^T (Y - mean Y),  predicted class = argmax(x W + mean Y)

With more features than samples, the equal form W = X^T (X X^T + l N I)^-1 (Y - mean Y) is used. Chance is the accuracy
of always predicting the most frequent class of the first half.

The measured bytes of a text or of the corpus are divided into two halves without common bytes, and digits into two sets
of images.

Shapes: N samples, C features, K classes.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from mhc_core.inputs import GaussianInput, TextEmbedding
from mhc_core.inputs.digits import load_digits, pick_images
from mhc_core.inputs.text import spread_starts
from mhc_core.stack import Stack

PROBED_SAMPLES = 2048  # in each half, rounded up to whole sequences
RIDGE = 0.01  # per sample


@dataclass(frozen=True)
class Targets:
    """The inputs of probes and the labels that they predict.

    reads: bytes and the starts of windows in them, or images and their digits.
    labels: labels of all tokens by name, (N); the first half is for fitting.
    """

    reads: tuple[np.ndarray, np.ndarray]
    labels: Mapping[str, np.ndarray]

    @property
    def halves(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the labels on which linear probes are fitted, and those on which they are tested."""
        count = len(self.labels["position"]) // 2
        fit = {key: labels[:count] for key, labels in self.labels.items()}
        return fit, {key: labels[count:] for key, labels in self.labels.items()}


@contextmanager
def show(stack: Stack, reads: tuple[np.ndarray, np.ndarray]) -> Iterator[None]:
    """Replace the windows or images that the input of a stack reads, until the context ends."""
    assert not isinstance(stack.input, GaussianInput), "vectors are refused before"
    stack.input.read_data(*reads)
    try:
        yield
    finally:
        stack.input.set_batch(None)


def list_targets(stack: Stack) -> Targets:
    """List what linear probes predict: position, token and next token; for images position and digit."""
    spec, tokens = stack.spec, stack.spec.input.tokens
    count = -(-PROBED_SAMPLES // tokens)
    position = np.tile(np.arange(tokens), 2 * count)
    if not isinstance(stack.input, TextEmbedding):
        images, digits = load_digits()
        drawn = pick_images(spec.seed, 2 * count)
        return Targets(
            (images[drawn], digits[drawn]), {"position": position, "digit": np.repeat(digits[drawn], tokens)}
        )
    reads = spread_halves(stack.input.measured_bytes, tokens + 1, count)
    with show(stack, reads):
        token, following = (ids.flatten().cpu().numpy() for ids in (stack.input.ids_BT, stack.input.targets_BT))
    return Targets(reads, {"position": position, "token": token, "next": following})


def spread_halves(data: np.ndarray, window: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bytes and the starts of windows in them: `count` windows in each half of the data.

    A half that is shorter than a window is repeated, so that no window contains bytes of both.
    """
    halves = [np.resize(half, max(len(half), window)) for half in np.array_split(data, 2) if len(half)]
    starts = [spread_starts(len(half) - window, count) for half in (halves[0], halves[-1])]
    return np.concatenate([halves[0], halves[-1]]), np.concatenate([starts[0], len(halves[0]) + starts[1]])


def fit_probe(
    fit_NC: torch.Tensor, test_NC: torch.Tensor, fit: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray]
) -> list[float]:
    """Fit one linear probe for each target on the samples `fit`, and return its accuracy on the samples `test`.

    nan if the stream has left the range of its type.
    """
    if not bool(torch.isfinite(fit_NC).all() & torch.isfinite(test_NC).all()):
        return [math.nan for _ in fit]
    mean, spread = fit_NC.mean(0), fit_NC.std(0, correction=0)
    size = torch.where(spread > 0, spread, 1.0)
    x_NC, test_NC = (fit_NC - mean) / size, (test_NC - mean) / size
    solve_weights = _build_solver(x_NC)
    found = []
    for key, labels in fit.items():
        classes, places = np.unique(labels, return_inverse=True)
        y_NK = torch.eye(len(classes), dtype=x_NC.dtype, device=x_NC.device)[torch.from_numpy(places).to(x_NC.device)]
        share_K = y_NK.mean(0)
        scores_NK = test_NC @ solve_weights(y_NK - share_K) + share_K
        found.append(float((classes[scores_NK.argmax(1).cpu().numpy()] == test[key]).mean()))
    return found


def _build_solver(x_NC: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that computes the least-squares weights (C, K) of targets (N, K) with one factorisation."""
    count, features = x_NC.shape
    is_wide = features > count
    gram = x_NC @ x_NC.T if is_wide else x_NC.T @ x_NC
    gram.diagonal().add_(RIDGE * count)
    factor = torch.linalg.cholesky(gram)

    def solve_weights(y_NK: torch.Tensor) -> torch.Tensor:
        """Return the least-squares weights (C, K) of these targets (N, K)."""
        if is_wide:
            return x_NC.T @ torch.cholesky_solve(y_NK, factor)
        return torch.cholesky_solve(x_NC.T @ y_NK, factor)

    return solve_weights


def measure_chance(fit: np.ndarray, test: np.ndarray) -> float:
    """Return the accuracy of always predicting the class that is most frequent among the samples for fitting."""
    classes, counts = np.unique(fit, return_counts=True)
    return float((test == classes[counts.argmax()]).mean())
