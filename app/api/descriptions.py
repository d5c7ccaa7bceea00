"""Routes that describe: what can be set, what is measured, what it would cost, where to start."""

from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.dependencies import Service
from app.api.http.bodies import SPEC_BODY
from app.api.http.problems import to_item
from app.api.models.descriptions import MetricsBody, PresetsBody, PreviewsBody
from app.api.models.estimates import EstimateBody
from app.api.models.links import API
from app.figures.style import MAX_RUNS, THEMES, to_styles
from app.presets import PRESETS
from app.services.admission import check_cost
from app.services.previews import Previews
from mhc_core.cost.estimates import estimate
from mhc_core.metrics.registry import to_catalogue
from mhc_core.record import codec
from mhc_core.spec import RunSpec, parse_spec

router = APIRouter(prefix=API, tags=["description"])


@router.post("/estimate", openapi_extra={"requestBody": SPEC_BODY})
async def estimate_run(request: Request, service: Service) -> EstimateBody:
    """Predicted parameters, FLOPs, bytes, memory and seconds, and whether this server would take the spec."""
    spec = parse_spec(await request.body())
    cost = estimate(spec, service.engine.rates)
    errors = [to_item(error) for error in check_cost(spec, cost, request.app.state.settings)]
    return EstimateBody(**cost.model_dump(), id=spec.id, admitted=not errors, errors=errors)


@router.get("/schema")
async def get_schema() -> dict[str, Any]:
    """JSON schema of a spec; `control`, `unit`, `step` and `applies` in it make the page's controls."""
    return RunSpec.model_json_schema()


@router.get("/metrics-catalogue", response_model=MetricsBody)
async def list_metrics() -> dict[str, Any]:
    """Every metric: key, title, unit, scale, shape, meaning, formula, source."""
    return {"metrics": to_catalogue()}


@router.get("/presets", response_model=PresetsBody)
async def list_presets() -> Response:
    """Named comparisons, the first is `default`; and the styles of their runs in both themes."""
    return Response(_write_presets(), media_type="application/json")


@router.get("/presets/previews", response_model=PreviewsBody)
async def list_previews(request: Request) -> dict[str, Any]:
    """A sketch of each preset: one curve a run of its metric (log10 where it spans decades) and one number.

    What is missing is computed while someone asks, one run at a time: ask again.
    """
    previews: Previews = request.app.state.previews
    return {"previews": await previews.look()}


@cache
def _write_presets() -> bytes:
    styles = {theme: to_styles(MAX_RUNS, theme) for theme in THEMES}
    return codec.to_json({"presets": [preset.to_plain() for preset in PRESETS], "styles": styles})
