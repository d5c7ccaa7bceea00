"""Find which known formula explains measured coefficients: Sinkhorn rounds with order, number and eps, or a map of
single logits.

Independent of `mhc_core.layers`, in plain operations on float64 matrices.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
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

    `last`: "rows" or "columns", the half of a round that comes last. `halves`: "both", or the only half that is
    computed. `eps` is added to the sums of the halves in `eps_in`: "both", "first" or "second"; "result" is like
    "both", but the very first half adds eps to its result instead.
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

    A law with a larger eps is chosen only if it is clearly better, because an eps can also imitate rounding errors.
    """
    logits, measured = logits.double(), measured.double()
    all_fits: list[Fit] = []
    plain_fits: list[Fit] = []
    for name in positives:
        errors = (compute_sinkhorn(name, logits) - measured).abs().amax((1, 2)).nan_to_num(nan=math.inf).tolist()
        laws, plain = list_laws(name)
        for fits, places in ((all_fits, range(len(laws))), (plain_fits, plain)):
            place = min(places, key=errors.__getitem__)
            fits.append(Fit(laws[place], errors[place]))
    best, without_eps = (min(fits, key=lambda fit: fit.error) for fits in (all_fits, plain_fits))
    return without_eps if without_eps.error <= 3 * best.error else best


# Pairs of an eps and where it is added.
ADDED = ((0.0, "both"), *product(EPS[1:], ("both", "result", "first", "second")))


@cache
def list_laws(positive: str) -> tuple[list[SinkhornLaw], list[int]]:
    """Return all K laws that start with this positive map, and the indices of those with a usual eps or none."""
    laws = [SinkhornLaw(positive, halves, 1, 0.0, f"{halves} alone") for halves in ("rows", "columns")]
    laws += [
        SinkhornLaw(positive, last, rounds, eps, "both", eps_in)
        for last in ("rows", "columns")
        for eps, eps_in in ADDED
        for rounds in range(1, MAX_ROUNDS + 1)
    ]
    usual = [law.eps <= TINY_EPS and law.eps_in in ("both", "result") for law in laws]
    return laws, [place for place, is_usual in enumerate(usual) if is_usual]


def compute_sinkhorn(positive: str, logits: torch.Tensor) -> torch.Tensor:
    """Compute the matrices (K, n, n) of all laws in `list_laws(positive)` from logits (n, n)."""
    start = POSITIVE[positive](logits)
    rows, columns = (torch.stack(_run_rounds(matrix, MAX_ROUNDS, ADDED), 1) for matrix in (start, start.T))
    halves = torch.stack([start / start.sum(dim, keepdim=True) for dim in (1, 0)])
    return torch.cat([halves, rows.flatten(0, 1), columns.mT.flatten(0, 1)])


def _run_rounds(start: torch.Tensor, rounds: int, added: Sequence[tuple[float, str]]) -> list[torch.Tensor]:
    """Return the matrices (V, n, n) after each Sinkhorn round, which ends with rows.

    added: V pairs of an eps and where it is added, as in `ADDED`.
    """
    first, second, result = (
        torch.tensor([eps if where in places else 0.0 for eps, where in added], dtype=start.dtype)[:, None, None]
        for places in (("both", "first"), ("both", "second", "result"), ("result",))
    )
    matrix = start / (start.sum(0, keepdim=True) + first) + result
    found = [matrix / (matrix.sum(2, keepdim=True) + second)]
    first = first + result  # only the very first half adds it to its result
    while len(found) < rounds:
        matrix = found[-1] / (found[-1].sum(1, keepdim=True) + first)
        found.append(matrix / (matrix.sum(2, keepdim=True) + second))
    return found


def fit_scalar(logits: torch.Tensor, measured: torch.Tensor) -> tuple[str, float]:
    """Return the map of single logits (K, n) that fits the measured values (K, n) best, and the largest difference."""
    logits, measured = logits.double(), measured.double()
    errors = {name: _measure_difference(law(logits), measured) for name, law in SCALAR.items()}
    best = min(errors, key=lambda name: errors[name])
    return best, errors[best]


def draw_slow_logits(n: int, rounds: int, seed: int) -> torch.Tensor:
    """Return logits (n, n) for which one round more or fewer changes H_res visibly, and rows and columns differ.

    Their range is as narrow as possible, because with a wide range even the smallest eps has an effect in every half.
    """
    best, most = torch.zeros(n, n), -1.0
    for scale, salt in product((2.0, 3.0, 4.0, 5.0, 6.0, 8.0), range(12)):
        generator = torch.Generator().manual_seed(1000 * seed + salt)
        logits = scale * torch.randn(n, n, generator=generator)
        *_, before, after = _run_rounds(POSITIVE["exp"](logits.double()), rounds + 1, [(0.0, "both")])
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
