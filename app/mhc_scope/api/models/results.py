"""Define the body of a result as JSON."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mhc_core.record.packed import PackedArray

Numbers = list[float | None]
Rows = list[Numbers]
# By number of dimensions. With `?arrays=packed`, arrays of two or more dimensions are packed.
Column = Numbers | Rows | list[Rows] | list[list[Rows]] | PackedArray
Flags = dict[str, Any]


class ResultBody(BaseModel):
    """A finished run as columns, key of the metric -> array with index = layer; null is not a number or not finite.

    `/metrics-catalogue` says what each key means. The fields of the `start` frame are next to the columns.
    """

    model_config = ConfigDict(extra="allow")

    run: str
    loss: float | None
    input_state: dict[str, Any] = Field(description="The embedding's output, and its gradient.")
    jacobian: dict[str, Any] = Field(description="Singular values of the whole stack; {} where not requested.")
    summary: dict[str, Any] = Field(description="Headline and findings, with their numbers.")
    status: dict[str, Flags] = Field(description="Key -> layer -> why there is no number: overflow, underflow, ...")
    layers: dict[str, Column] = Field(description="Key -> (L) or (L, n).")
    layers_log10: dict[str, Column] = Field(description="The same of metrics that span decades.")
    matrices: dict[str, Column] = Field(description="Key -> (L, n), (L, n, n), (L, L) or (L, L + 1).")
    bands: dict[str, dict[str, Numbers]] = Field(description="Key -> p05, p50, p95, min or max over seeds -> (L).")
    seeds: dict[str, Any] = Field(description="Further values of several seeds; {} for one.")
    loss_untrained: float | None = Field(None, description="This field and those after it exist for runs that train.")
    steps: dict[str, Column] | None = Field(None, description="Key -> (S) or (S, L) over the steps of training.")
    steps_log10: dict[str, Column] | None = Field(None, description="The same of metrics that span decades.")
    steps_status: dict[str, Flags] | None = Field(None, description="Key -> step -> status, or -> layer -> status.")
    kept: dict[str, Column] | None = Field(None, description="`step`, and key -> (K, ...) at these steps.")
