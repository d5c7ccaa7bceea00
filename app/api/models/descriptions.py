"""Bodies that describe: metrics, presets and their previews."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.figures.style import RunStyle, ThemeName
from app.presets.preset import Reference
from mhc_core.metrics.registry import Metric
from mhc_core.record.reduction import Reduction


class MetricsBody(BaseModel):
    """The catalogue, in the order of declaration."""

    metrics: list[Metric]


class GroupBody(BaseModel):
    """Where in the gallery a preset stands."""

    key: str
    title: str


class PresetRun(BaseModel):
    """One run of a preset."""

    label: str
    id: str
    spec: dict[str, Any]


class PreviewedMetric(BaseModel):
    """The column that a preview draws."""

    key: str
    title: str
    scale: str


class PresetBody(BaseModel):
    """A named comparison."""

    name: str
    title: str
    description: str
    group: GroupBody
    specs: list[PresetRun]
    metric: PreviewedMetric
    reduce: Reduction = Field(description="How that column becomes the number of the preview.")
    panel: str = Field(description="The panel that shows it.")
    reference: Reference | None = Field(description="What others say of it.")
    plays: str | None = Field(description="The field that is played when it is opened.")


class PresetsBody(BaseModel):
    """Presets, and the styles of their runs in each theme."""

    presets: list[PresetBody]
    styles: dict[ThemeName, list[RunStyle]]


class PreviewedRun(BaseModel):
    """One curve of a preview, and its number; null while the run is missing."""

    label: str
    id: str
    status: Literal["done", "failed", "missing"]
    reason: str | None = Field(description="Why it failed.")
    curve: list[float | None] | None = Field(description="On the scale of the metric; null where it has no number.")
    value: float | None
    log10: float | None
    number: str | None = Field(description="Status of the number: finite, or why it is none.")
    headline: str | None


class PreviewBody(BaseModel):
    """The sketch of one preset."""

    name: str
    runs: list[PreviewedRun]


class PreviewsBody(BaseModel):
    """A sketch of each preset, as far as its runs are computed."""

    previews: list[PreviewBody]
