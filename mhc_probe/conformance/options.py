"""Define the family that an implementation should follow, and its options."""

from dataclasses import dataclass
from typing import Literal

from mhc_core import families
from mhc_core.family import Family
from mhc_core.spec import SpecError

Residual = Literal["sinkhorn", "doubly stochastic", "identity", "free"]


@dataclass(frozen=True)
class FamilyPromise:
    """The properties of a family that are checked: its H_res, the law of H_pre and H_post ("" if free), and its start.

    `reads_streams`: the branch's input is a weighted sum of whole streams, with one weight for all channels.
    """

    residual: Residual
    pre: str = "sigmoid"
    post: str = "2 sigmoid"
    starts_as_residual: bool = False
    reads_streams: bool = True
    output: Literal["sum", "mean", "any"] = "any"


def _to_promise(family: Family) -> FamilyPromise | None:
    """Return the promise that follows from a family's properties; None if no check exists for its mixing."""
    if family.streams != "copies":
        return None
    if family.drawn == "entries":
        return FamilyPromise("free", pre="", post="", starts_as_residual=True, output="sum")
    if not family.is_mapped:
        return None
    if family.iterates:
        return FamilyPromise("sinkhorn")
    if family.is_identity:
        return FamilyPromise("identity")
    return FamilyPromise("doubly stochastic") if family.is_doubly_stochastic else None


FAMILIES = {
    kind: promise for kind, family in families.FAMILIES.items() if (promise := _to_promise(family)) is not None
} | {"gated": FamilyPromise("identity", pre="", reads_streams=False)}


@dataclass(frozen=True)
class FamilyOptions:
    """A family by name, with its options: Sinkhorn rounds, eps, reduction of the streams, and type in use."""

    name: str = "mhc"
    rounds: int = 20
    eps: float = 1e-6
    output: str = ""
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Raise SpecError for an option that is not allowed."""
        if self.name not in FAMILIES:
            raise SpecError("family", self.name, f"one of {', '.join(FAMILIES)}, attnres")
        if not 1 <= self.rounds <= 45:
            raise SpecError("rounds", self.rounds, "an integer from 1 to 45")
        if not 0 <= self.eps < 0.1:
            raise SpecError("eps", self.eps, "a number from 0 and below 0.1")
        if self.dtype not in ("float32", "bfloat16"):
            raise SpecError("dtype", self.dtype, "float32 or bfloat16")
        if self.output not in ("", "sum", "mean", "any"):
            raise SpecError("output", self.output, "one of sum, mean, any")

    @property
    def family(self) -> FamilyPromise:
        """Return the properties of the family that the module should have."""
        return FAMILIES[self.name]

    @property
    def max_eps(self) -> float:
        """Return the largest eps that passes: ten times the expected one, and at least 1e-5."""
        return max(10 * self.eps, 1e-5)

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets ("pre", "post", "res") that have parameters in this family."""
        return ("pre", "post") if self.family.residual == "identity" else ("pre", "post", "res")
