"""Body of a predicted cost."""

from pydantic import Field

from app.api.models.problems import FieldError
from mhc_core.cost.estimates import Estimate


class EstimateBody(Estimate):
    """Predicted cost, and whether this server would take the spec."""

    id: str
    admitted: bool
    errors: list[FieldError] = Field(description="Why not.")
