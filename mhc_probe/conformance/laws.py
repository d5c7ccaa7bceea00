"""Fit known laws to a measured map: Sinkhorn by its order, rounds and eps, and maps of single logits.

Independent of `mhc_core.connections`, in plain loops over float64 matrices.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import torch

MAX_ROUNDS = 50
VISIBLE = 1e-3
TINY_EPS = 1e-6
EPS = (0.0, TINY_EPS, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

Map = Callable[[torch.Tensor], torch.Tensor]

POSITIVE: dict[str, Map] = {
    "exp": lambda t: torch.exp(t - t.max()),
    "the logits themselves": lambda t: t,
    "softplus": torch.nn.functional.softplus,
    "sigmoid": torch.sigmoid,
    "the absolute value": torch.abs,
    "ReLU": torch.relu,
    "the square": torch.square,
}

SCALAR: dict[str, Map] = {
    "sigmoid": torch.sigmoid,
    "2 sigmoid": lambda t: 2 * torch.sigmoid(t),
    "tanh": torch.tanh,
    "exp": torch.exp,
    "the logit itself": lambda t: t,
    "softmax over streams": lambda t: torch.softmax(t, -1),
    "sigmoid / n": lambda t: torch.sigmoid(t) / t.shape[-1],
    "softplus": torch.nn.functional.softplus,
}


class SinkhornLaw(NamedTuple):
    """One way to compute H_res from its logits.

    `last` names the sums that are normalised last, `halves` the halves that a round has. `eps` is added to the sums of
    those that `eps_in` names; "result" means both, but the very first half adds it to its result instead.
    """

    positive: str
    last: str
    rounds: int
    eps: float
    halves: str = "both"
    eps_in: str = "both"


class Fit(NamedTuple):
    """A law and its largest difference from the measured values."""

    law: SinkhornLaw
    error: float


def fit_sinkhorn(logits: torch.Tensor, measured: torch.Tensor, positives: tuple[str, ...] = ("exp",)) -> Fit:
    """Return the law that explains a measured H_res (n, n) best, from its logits (n, n); rows index the output.

    A law with an eps must be clearly better than one without, as an eps also imitates rounding.
    """
    logits, measured = logits.double(), measured.double()
    fits = [
        Fit(law, _measure_difference(matrix, measured))
        for name in positives
        for law, matrix in list_sinkhorn(name, logits)
    ]
    best = min(fits, key=lambda fit: fit.error)
    plain = min((fit for fit in fits if _is_plain(fit.law)), key=lambda fit: fit.error)
    return plain if plain.error <= 3 * best.error else best


def _is_plain(law: SinkhornLaw) -> bool:
    return law.eps <= TINY_EPS and law.eps_in in ("both", "result")


def list_sinkhorn(positive: str, logits: torch.Tensor) -> Iterator[tuple[SinkhornLaw, torch.Tensor]]:
    """Yield all laws of Sinkhorn's rounds that start with this positive map, each with its matrix."""
    start = POSITIVE[positive](logits)
    for halves, dim in (("rows alone", 1), ("columns alone", 0)):
        yield SinkhornLaw(positive, halves.partition(" ")[0], 1, 0.0, halves), start / start.sum(dim, keepdim=True)
    for (last, first_dim), eps in product((("rows", 0), ("columns", 1)), EPS):
        for eps_in in ("both", "result", "first", "second") if eps else ("both",):
            for rounds, matrix in enumerate(_run_rounds(start, first_dim, eps, MAX_ROUNDS, eps_in), start=1):
                yield SinkhornLaw(positive, last, rounds, eps, "both", eps_in), matrix


def _run_rounds(
    start: torch.Tensor, first_dim: int, eps: float, rounds: int, eps_in: str = "both"
) -> Iterator[torch.Tensor]:
    """Yield the matrix (n, n) after each Sinkhorn round, which normalises `first_dim` first; see `SinkhornLaw`."""
    matrix, first, second = start, 0.0 if eps_in == "second" else eps, 0.0 if eps_in == "first" else eps
    for number in range(rounds):
        if number == 0 and eps_in == "result":
            matrix = matrix / matrix.sum(first_dim, keepdim=True) + eps
        else:
            matrix = matrix / (matrix.sum(first_dim, keepdim=True) + first)
        matrix = matrix / (matrix.sum(1 - first_dim, keepdim=True) + second)
        yield matrix


def fit_scalar(logits: torch.Tensor, measured: torch.Tensor) -> tuple[str, float]:
    """Return the map of single logits (K, n) that fits the measured values (K, n) best, and the largest difference."""
    logits, measured = logits.double(), measured.double()
    errors = {name: _measure_difference(law(logits), measured) for name, law in SCALAR.items()}
    best = min(errors, key=lambda name: errors[name])
    return best, errors[best]


def draw_slow_logits(n: int, rounds: int, seed: int) -> torch.Tensor:
    """Return logits (n, n) for which one round more or fewer changes H_res visibly, and rows and columns differ.

    Their range is as narrow as possible: with a wide one, the smallest eps matters in every half.
    """
    best, most = torch.zeros(n, n), -1.0
    for scale, salt in product((2.0, 3.0, 4.0, 5.0, 6.0, 8.0), range(12)):
        generator = torch.Generator().manual_seed(1000 * seed + salt)
        logits = scale * torch.randn(n, n, generator=generator)
        *_, before, after = _run_rounds(POSITIVE["exp"](logits.double()), 0, 0.0, rounds + 1)
        change = (after - before).abs().max().item()
        if change > VISIBLE:
            return logits
        if change > most:
            best, most = logits, change
    return best


def _measure_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest absolute difference; inf if an entry is nan."""
    found = (one - other).abs().max().item()
    return math.inf if math.isnan(found) else found
