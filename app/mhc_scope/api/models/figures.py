"""Bodies of figures and of the panels that they are made from."""

from typing import Any

from pydantic import BaseModel, Field

from mhc_core.figures.fill.rules import FigureRules
from mhc_core.figures.panel import Column, Help


class FigureBody(BaseModel):
    """A Plotly figure: `plotly.io.from_json` reads it. Arrays are lists, or packed as `{dtype, bdata, shape}`."""

    data: list[dict[str, Any]] = Field(description="Traces.")
    layout: dict[str, Any]


class FigureItem(BaseModel):
    """A figure that there is of a run."""

    key: str
    title: str
    meaning: str
    href: str


class ViewBody(BaseModel):
    """One way to draw a panel; its figure has no data yet."""

    key: str
    title: str
    meaning: str
    unit: str
    needs: str = Field(description="A metric that only such runs have as can fill the view.")
    figure: FigureBody


class PanelBody(BaseModel):
    """One figure with its meaning; `figure` is that of the first view."""

    key: str
    title: str
    unit: str
    meaning: str
    help: Help
    group: str = Field(description="Where on the page it stands.")
    live: bool = Field(description="Whether it can be drawn while a run is going on.")
    follows_step: bool = Field(description="Whether it shows a run that trains as it was at a step.")
    figure: FigureBody
    views: list[ViewBody]
    table: list[Column]


class PanelsBody(BaseModel):
    """Every panel, and the rules by which figures are filled."""

    panels: list[PanelBody]
    rules: FigureRules
