"""Body of a predicted cost."""

from typing import Any

from pydantic import Field

from mhc_core.cost.estimates import Estimate


class EstimateBody(Estimate):
    """Predicted cost, and whether this server would take the spec."""

    id: str
    admitted: bool
    errors: list[dict[str, Any]] = Field(description="Why not: field, got, wanted.")
