"""The families of connections: one row each, with what the rest of the program must know of it.

Validation, ids, the page's controls, costs, theory, findings and the names in figures follow from the row. How a family
computes is in its file in `mhc_core/connections`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# What of a stream count n does not fit a width, as an error says it; None where all is well.
Rule = Callable[[int, int], str | None]


def _any(n: int, width: int) -> str | None:
    return None


def _power_of_two(n: int, width: int) -> str | None:
    return "a power of two, because kromhc takes Kronecker products of small matrices" if n & (n - 1) else None


def _few(n: int, width: int) -> str | None:
    return "at most 5: mhc_lite combines all n! permutations" if n > 5 else None


def _divisor(n: int, width: int) -> str | None:
    return f"a divisor of width {width}, which frac splits" if width % n else None


@dataclass(frozen=True)
class Family:
    """A kind of connection.

    name: in figures and tables. year: of the paper.
    streams: one stream; n copies of the embedding; or n parts of the width.
    mixing: of the residual matrix. fixed: none is learned for one stream. free: any matrix. sinkhorn: doubly stochastic
    up to what the rounds leave. exact: doubly stochastic by construction. identity: no mixing, and so no drift.
    logits: parameters of one layer's residual matrix, by n. rule: which n are allowed.
    """

    name: str
    year: int | None = None
    streams: Literal["one", "copies", "parts"] = "copies"
    mixing: Literal["fixed", "free", "sinkhorn", "exact", "identity"] = "exact"
    logits: Callable[[int], int] = lambda n: n * n
    rule: Rule = _any


FAMILIES = {
    "none": Family("Plain", streams="one", mixing="fixed"),
    "residual": Family("Residual", 2015, streams="one", mixing="fixed"),
    "hc": Family("HC", 2024, mixing="free"),
    "mhc": Family("mHC", 2025, mixing="sinkhorn"),
    "mhc_lite": Family("mHC-lite", 2026, logits=lambda n: math.factorial(min(n, 5)), rule=_few),
    "kromhc": Family("KromHC", 2026, logits=lambda n: n.bit_length() - 1, rule=_power_of_two),
    "orthostochastic": Family("Orthostochastic"),
    "identity_hc": Family("Identity HC", mixing="identity", logits=lambda n: 0),
    "frac": Family("Frac", 2025, streams="parts", mixing="free", rule=_divisor),
}


def _pick(fits: Callable[[Family], bool]) -> tuple[str, ...]:
    return tuple(kind for kind, family in FAMILIES.items() if fits(family))


CONNECTION_KINDS = tuple(FAMILIES)
MULTI_STREAM = _pick(lambda family: family.streams != "one")
COPYING = _pick(lambda family: family.streams == "copies")
MANIFOLD = _pick(lambda family: family.mixing in ("sinkhorn", "exact", "identity"))
DOUBLY_STOCHASTIC = _pick(lambda family: family.mixing in ("exact", "identity"))
FREE = _pick(lambda family: family.mixing == "free")
SINKHORN = _pick(lambda family: family.mixing == "sinkhorn")
DRIFTING = _pick(lambda family: family.mixing not in ("fixed", "identity"))
PARTS = _pick(lambda family: family.streams == "parts")
