"""Define bodies of figures and of the panels that they are built from."""

from typing import Any

from pydantic import BaseModel, Field

from mhc_core.figures.panel import Column, Help
from mhc_core.figures.rules import FigureRules


class FigureBody(BaseModel):
    """A Plotly figure: `plotly.io.from_json` reads it. Arrays are lists, or packed as `{dtype, bdata, shape}`."""

    data: list[dict[str, Any]] = Field(description="Traces.")
    layout: dict[str, Any]


class FigureItem(BaseModel):
    """Name a figure of a run, with its address."""

    key: str
    title: str
    meaning: str
    href: str


class ViewBody(BaseModel):
    """Describe one way to draw a panel; its figure has no data yet."""

    key: str
    title: str
    meaning: str
    unit: str
    needs: str = Field(description="A metric: only runs that have it can fill the view.")
    figure: FigureBody


class PanelBody(BaseModel):
    """Describe one figure and its meaning; `figure` is that of the first view."""

    key: str
    title: str
    unit: str
    meaning: str
    help: Help
    group: str = Field(description="The section of the page that has it.")
    live: bool = Field(description="Whether it can be drawn during a run.")
    follows_step: bool = Field(description="Whether it shows a run that trains as it was at a step.")
    figure: FigureBody
    views: list[ViewBody]
    table: list[Column]


class PanelsBody(BaseModel):
    """List every panel, and the rules for filling figures."""

    panels: list[PanelBody]
    rules: FigureRules
