"""Define bodies that describe: metrics, presets and their previews, and the cost of a spec."""

from typing import Any

from pydantic import BaseModel, Field

from mhc_core.cost.estimates import Estimate
from mhc_core.metric import Metric
from mhc_core.record.reduction import Reduction
from mhc_scope.api.models.problems import FieldError
from mhc_scope.presets.preset import Number, Reference


class MetricsBody(BaseModel):
    """List all metrics, in the order of declaration."""

    metrics: list[Metric]


class GroupBody(BaseModel):
    """Name the group of a preset in the gallery."""

    key: str
    title: str


class PresetRun(BaseModel):
    """Describe one run of a preset."""

    label: str
    id: str
    spec: dict[str, Any]


class PreviewedMetric(BaseModel):
    """Describe the column that a preview draws."""

    key: str
    title: str
    scale: str


class PresetBody(BaseModel):
    """Describe a named comparison."""

    name: str
    title: str
    description: str
    group: GroupBody
    specs: list[PresetRun]
    metric: PreviewedMetric
    reduce: Reduction = Field(description="How that column becomes the headline of each run.")
    number: Number = Field(description="perplexity: the headline is instead by how many % edits raise the perplexity.")
    told: str = Field(description="What the headline is.")
    panel: str = Field(description="The panel that shows it.")
    view: str | None = Field(description="Which of the panel's views; null for the first.")
    reference: Reference | None = Field(description="What others report about it.")
    plays: str | None = Field(description="The field that is animated when it is opened.")


class PresetsBody(BaseModel):
    """List presets; the first is `default`."""

    presets: list[PresetBody]


class PreviewedRun(BaseModel):
    """Return one curve of a preview, and its number."""

    id: str
    curve: list[float | None] = Field(description="On the scale of the metric; null where it has no number.")
    value: float | None
    log10: float | None
    status: str = Field(description="Status of the number: finite, or why it is none.")


class PreviewBody(BaseModel):
    """Return the sketch of one preset; runs are in its order."""

    name: str
    runs: list[PreviewedRun]


class PreviewsBody(BaseModel):
    """List a sketch of each preset."""

    previews: list[PreviewBody]


class EstimateBody(Estimate):
    """Return the predicted cost, and whether this server would admit the spec."""

    id: str
    admitted: bool
    errors: list[FieldError] = Field(description="Why not.")
