"""Serve figures: templates for the page, and the same figures filled with finished runs, for notebooks."""

import asyncio
from functools import cache
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import StringConstraints
from starlette.responses import Response

from mhc_core import figures
from mhc_core.figures.run_names import label_sources
from mhc_core.figures.style import ThemeName
from mhc_core.record import codec
from mhc_core.record.source import SpecSource
from mhc_scope.api.cached_bodies import CachedBody
from mhc_scope.api.cached_files import CHANGELESS, matches_etag, respond_file
from mhc_scope.api.dependencies import Encoding, Service, charge_reading, find_done, load_result, load_start
from mhc_scope.api.models.figures import FigureBody, FigureItem, PanelsBody
from mhc_scope.api.models.links import API, to_address
from mhc_scope.api.problems import invalid_query, not_found
from mhc_scope.api.queries import LayerIndex, check_interval, refuse_unknown
from mhc_scope.services.encoder_jobs import FigureRequest

router = APIRouter(prefix=API, tags=["figures"], dependencies=[Depends(refuse_unknown)])

Label = Annotated[str, StringConstraints(min_length=1, max_length=80)]
RunCount = Annotated[int, Query(ge=1, le=figures.MAX_RUNS, description="Number of runs in a figure.")]


@router.get("/panels", response_model=PanelsBody, responses=CHANGELESS)
async def get_panels(request: Request, runs: RunCount = 3, theme: ThemeName = "light") -> Response:
    """Return every panel: its meaning and its Plotly figure without data."""
    body = write_panels(runs, theme)
    headers = {"ETag": body.etag, "Cache-Control": "no-cache"}
    if matches_etag(request, body.etag):
        return Response(status_code=304, headers=headers)
    return body.respond(request, headers)


@router.get("/runs/{run_id}/figures")
async def list_figures(run_id: str, service: Service) -> list[FigureItem]:
    """Return a list of the figures of a run, with their addresses."""
    await find_done(service, run_id)
    base = to_address(f"{API}/runs/{run_id}/figures")
    return [
        FigureItem(key=panel.key, title=panel.title, meaning=panel.meaning, href=f"{base}/{panel.key}")
        for panel in figures.PANELS.values()
    ]


@router.get("/runs/{run_id}/figures/{panel}", response_model=FigureBody, dependencies=[Depends(charge_reading)])
async def get_figure(
    request: Request,
    run_id: str,
    panel: str,
    service: Service,
    encoder: Encoding,
    others: Annotated[str, Query(alias="with", max_length=200, description="More run ids, by commas.")] = "",
    layer: Annotated[int | None, Query(ge=0, description="The cursor, a layer from 0; the last by default.")] = None,
    theme: ThemeName = "light",
    view: Annotated[str | None, Query(max_length=40, description="One of the panel's views.")] = None,
    difference: Annotated[bool, Query(description="Each run against the first: B - A, on log axes B / A.")] = False,
    label: Annotated[list[Label] | None, Query(description="What each run is called, in their order.")] = None,
    step: Annotated[int | None, Query(ge=0, description="A step of training from 0, for runs that train.")] = None,
    first: LayerIndex = None,
    last: LayerIndex = None,
) -> Response:
    """Return a Plotly figure with this run's data: `plotly.io.from_json` reads it."""
    _require_view(panel, view)
    ids = [run_id, *filter(None, others.split(","))]
    if len(ids) > figures.MAX_RUNS:
        raise invalid_query("with", len(ids) - 1, f"at most {figures.MAX_RUNS - 1} more runs")
    if difference and len(ids) < 2:
        raise invalid_query("difference", True, "at least one more run, `with`")
    runs = [await find_done(service, name) for name in ids]
    is_large = any(map(encoder.is_large, runs))
    # The number of training steps of a recording is known only from all its frames.
    is_outside = is_large and all(isinstance(run.source, SpecSource) for run in runs)
    results = [await (load_start if is_outside else load_result)(service, run) for run in runs]
    top = max(result.depth for result in results) - 1
    if layer is not None and layer > top:
        raise invalid_query("layer", layer, f"0 to {top}")
    cursor = top if layer is None else layer
    labels = label or label_sources([result.source for result in results])
    if len(labels) != len(runs):
        raise invalid_query("label", len(labels), f"one for each of {len(runs)} runs, or none")
    interval = check_interval(first, last, top + 1)
    _check_step(step, max(result.train_steps for result in results))
    wanted = FigureRequest(panel, tuple(labels), cursor, theme, view, difference, step, interval)
    if not is_outside:
        return Response(await asyncio.to_thread(wanted.draw, results), media_type="application/json")
    is_packed = "gzip" in request.headers.get("accept-encoding", "")
    path = await encoder.get_figure(runs, wanted, is_packed=is_packed)
    headers = {"ETag": f'"{path.name}"', "Vary": "Accept-Encoding"} | (
        {"Content-Encoding": "gzip"} if is_packed else {}
    )
    return await respond_file(request, path, max(run.finished_at or 0.0 for run in runs), headers, "application/json")


def _check_step(step: int | None, steps: int) -> None:
    """Refuse a query for a training step that the requested runs do not have."""
    if step is not None and step >= steps:
        raise invalid_query("step", step, f"0 to {steps - 1}" if steps else "no step: none of these runs trains")


def _require_view(panel: str, view: str | None) -> None:
    """Refuse a query for a panel, or a view of it, that does not exist."""
    if panel not in figures.PANELS:
        raise not_found("panel", panel, list(figures.PANELS))
    shown = figures.PANELS[panel]
    if shown.find_view(view) is None:
        views = [item.key for item in shown.views]
        last = f", or any from {views[0]} to {views[-1]}" if shown.between else ""
        raise invalid_query("view", view, f"one of {', '.join(views)}{last}")


@cache
def write_panels(runs: int, theme: ThemeName) -> CachedBody:
    """Return the templates of all panels for a number of runs as a cached JSON body. Encoding takes 10 ms."""
    return CachedBody(codec.to_json(figures.to_response(runs, theme)))
