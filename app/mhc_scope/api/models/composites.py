"""Define the body of a composite."""

from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, Field

from mhc_core.metrics import intervals
from mhc_core.metrics.intervals import Composite


class Magnitude(BaseModel):
    """Give a number and its log10; the number is null beyond float64, the log10 if the number is 0."""

    value: float | None
    log10: float | None

    @classmethod
    def build(cls, magnitude: intervals.Magnitude) -> "Magnitude":
        """Build the response part for a number and its log10; null where they are not finite."""
        value, log10 = magnitude
        return cls(value=_to_number(value), log10=_to_number(log10))


class CompositeBody(BaseModel):
    """Return the product of the mixing of layers first to last, H_last ... H_first."""

    run: str
    first: int
    last: int
    scale_log10: float = Field(description="Matrix and sums are times 10 to this; 0 unless they leave float64.")
    matrix: list[list[float | None]] = Field(description="Rows are outputs, columns inputs; null is not a number.")
    row_sums: list[float | None]
    col_sums: list[float | None]
    gain_fwd: Magnitude = Field(description="Largest |row sum| (Amax gain).")
    gain_bwd: Magnitude = Field(description="Largest |column sum|.")
    sigma2: Magnitude | None = Field(description="What differences between streams keep; null for one stream.")
    ds_error: Magnitude = Field(description="Deviation from doubly stochastic.")

    @classmethod
    def build(cls, run_id: str, first: int, last: int, composite: Composite) -> "CompositeBody":
        """Build the response about a product of mixing matrices; null where a value is not finite."""
        return cls(
            run=run_id,
            first=first,
            last=last,
            scale_log10=composite.scale_log10,
            matrix=[_to_numbers(row) for row in composite.matrix],
            row_sums=_to_numbers(composite.row_sums),
            col_sums=_to_numbers(composite.col_sums),
            gain_fwd=Magnitude.build(composite.gain_fwd),
            gain_bwd=Magnitude.build(composite.gain_bwd),
            sigma2=None if composite.sigma2 is None else Magnitude.build(composite.sigma2),
            ds_error=Magnitude.build(composite.ds_error),
        )


def _to_numbers(values: Iterable[float]) -> list[float | None]:
    return [_to_number(value) for value in values]


def _to_number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
