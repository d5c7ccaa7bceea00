"""Respond with Plotly figures."""

import asyncio
from collections.abc import Callable

import plotly.graph_objects as go
from starlette.responses import Response


async def respond_figure(build: Callable[[], go.Figure]) -> Response:
    """Return the figure that `build` makes as a JSON response. Building and encoding run in a thread."""
    return Response(await asyncio.to_thread(_to_json, build), media_type="application/json")


def _to_json(build: Callable[[], go.Figure]) -> bytes:
    return str(build().to_json()).encode()
