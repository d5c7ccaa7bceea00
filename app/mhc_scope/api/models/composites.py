"""Define the body of a composite."""

from typing import Any

from pydantic import BaseModel, Field

from mhc_core.metrics.intervals import Composite


class Magnitude(BaseModel):
    """Give a number and its log10; the number is null beyond float64, the log10 if the number is 0."""

    value: float | None
    log10: float | None


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
        """Build the response about a product of mixing matrices. Values that are not finite are null in JSON."""
        fields: dict[str, Any] = {"run": run_id, "first": first, "last": last, "scale_log10": composite.scale_log10}
        for name in ("matrix", "row_sums", "col_sums"):
            fields[name] = getattr(composite, name).tolist()
        for name in ("gain_fwd", "gain_bwd", "sigma2", "ds_error"):
            pair = getattr(composite, name)
            fields[name] = None if pair is None else Magnitude(value=pair[0], log10=pair[1])
        return cls(**fields)
