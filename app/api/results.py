"""Routes of results: a finished run as columns, in the formats that people take away."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.dependencies import Service, find_done, load_result
from app.api.models.links import API
from app.services.results import WRITERS

router = APIRouter(prefix=API, tags=["runs"])

# Ending of the route -> media type.
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "npz": "application/octet-stream"}


@router.get("/runs/{run_id}/result", response_class=Response)
async def get_result(request: Request, run_id: str, service: Service) -> Response:
    """The whole result as columns, in the first of JSON, CSV and NPZ that `Accept` names; JSON without it."""
    accept = request.headers.get("accept", "")
    ending = next((name for name, media in MEDIA_TYPES.items() if media in accept), "json")
    return await get_result_as(run_id, ending, service)  # type: ignore[arg-type]


@router.get("/runs/{run_id}/result.{ending}", response_class=Response)
async def get_result_as(run_id: str, ending: Literal["json", "csv", "npz"], service: Service) -> Response:
    """The whole result as columns."""
    run = await find_done(service, run_id)
    result = await load_result(service, run)
    body = await asyncio.to_thread(WRITERS[ending], run_id, result)
    # A finished run never changes, and its id names the numerics.
    headers = {"ETag": f'"{run_id}-{ending}"', "Cache-Control": "private, max-age=86400"}
    if ending != "json":
        headers["Content-Disposition"] = f'attachment; filename="mhc-scope-{run_id}.{ending}"'
    return Response(body, headers=headers, media_type=MEDIA_TYPES[ending])
