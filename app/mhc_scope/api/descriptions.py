"""Serve descriptions: the settings of a spec, the metrics, the cost of a run, and presets."""

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from mhc_core.figures.style import MAX_RUNS
from mhc_core.metrics import to_catalogue
from mhc_core.record import codec
from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.api.bodies import SPEC_BODY
from mhc_scope.api.cached_bodies import CachedBody
from mhc_scope.api.dependencies import Service
from mhc_scope.api.models.descriptions import EstimateBody, MetricsBody, PresetsBody, PreviewsBody
from mhc_scope.api.models.links import API
from mhc_scope.api.problems import to_item
from mhc_scope.engine.contract import RUN
from mhc_scope.presets import PRESETS
from mhc_scope.presets.sketches import read_sketches
from mhc_scope.services.admission import check_cost

router = APIRouter(prefix=API, tags=["description"])

Together = Annotated[int, Query(ge=1, le=MAX_RUNS, description="Runs to be submitted together, this one among them.")]


@router.post("/estimate", openapi_extra={"requestBody": SPEC_BODY})
async def estimate_run(request: Request, service: Service, together: Together = 1) -> EstimateBody:
    """Return predicted parameters, FLOPs, bytes, memory and seconds, and whether this server would admit the spec."""
    spec = parse_spec(await request.body())
    cost = service.predictions.predict(RUN, spec, together)
    errors = [to_item(error) for error in check_cost(spec, cost, request.app.state.settings)]
    return EstimateBody(**cost.model_dump(), id=spec.id, admitted=not errors, errors=errors)


@router.get("/schema", response_model=dict[str, Any])
async def get_schema(request: Request) -> Response:
    """Return the JSON schema of a spec; the page builds its controls from `control`, `unit`, `step` and `applies`."""
    return write_schema().respond(request)


@router.get("/metrics-catalogue", response_model=MetricsBody)
async def list_metrics() -> dict[str, Any]:
    """Return every metric: key, title, unit, scale, shape, meaning, formula, source."""
    return {"metrics": to_catalogue()}


@router.get("/presets", response_model=PresetsBody)
async def list_presets(request: Request) -> Response:
    """Return the presets, named comparisons of runs; the first is `default`."""
    return write_presets().respond(request)


@router.get("/presets/previews", response_model=PreviewsBody)
async def list_previews(request: Request) -> Response:
    """Return a sketch of each preset: one curve per run of its metric (log10 if it spans decades) and one number.

    Each comes from a run of this version that is stored with the code.
    """
    return _write_previews().respond(request)


@cache
def write_schema() -> CachedBody:
    return CachedBody(codec.to_json(RunSpec.model_json_schema()))


@cache
def write_presets() -> CachedBody:
    return CachedBody(codec.to_json({"presets": [preset.to_plain() for preset in PRESETS]}))


@cache
def _write_previews() -> CachedBody:
    """Return the sketches of all presets as a cached JSON body."""
    previews = [{"name": name, "runs": runs} for name, runs in read_sketches().items()]
    return CachedBody(codec.to_json({"previews": previews}))
