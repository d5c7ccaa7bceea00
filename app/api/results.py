"""Routes of results: a finished run as columns, in the formats that people take away."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.api.dependencies import Service, charge_reading, find_done, load_result
from app.api.http.contents import describe_bytes, describe_texts
from app.api.http.problems import invalid_query
from app.api.models.links import API
from app.api.models.results import ResultBody
from app.services.results import WRITERS, to_packed_json
from app.services.runs import Runs

router = APIRouter(prefix=API, tags=["runs"], dependencies=[Depends(charge_reading)])

Form = Literal["nested", "packed"]
ARRAYS = "Arrays of two or more dimensions in JSON: nested lists, or packed as in frames, `{dtype, bdata, shape}`."
Arrays = Annotated[Form, Query(description=ARRAYS)]

MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "npz": "application/octet-stream"}
CSV = describe_texts({MEDIA_TYPES["csv"]: "One row a layer; `left_out` in the first row names what has no column."})
NPZ = describe_bytes(MEDIA_TYPES["npz"], "Arrays by name, as numpy reads them.")


@router.get("/runs/{run_id}/result", response_model=ResultBody, responses={200: {"content": CSV | NPZ}})
async def get_result(request: Request, run_id: str, service: Service, arrays: Arrays = "nested") -> Response:
    """The whole result as columns, in the first of JSON, CSV and NPZ that `Accept` names; JSON without it."""
    accept = request.headers.get("accept", "")
    ending = next((name for name, media in MEDIA_TYPES.items() if media in accept), "json")
    answer = await _respond(service, run_id, ending, arrays)
    answer.headers["Vary"] = "Accept"
    return answer


@router.get("/runs/{run_id}/result.json", response_model=ResultBody)
async def get_result_json(run_id: str, service: Service, arrays: Arrays = "nested") -> Response:
    """The whole result as columns."""
    return await _respond(service, run_id, "json", arrays)


@router.get("/runs/{run_id}/result.csv", response_class=Response, responses={200: {"content": CSV}})
async def get_result_csv(run_id: str, service: Service) -> Response:
    """The columns over layers as a table. Matrices and the steps of training are left out, and named in it."""
    return await _respond(service, run_id, "csv")


@router.get("/runs/{run_id}/result.npz", response_class=Response, responses={200: {"content": NPZ}})
async def get_result_npz(run_id: str, service: Service) -> Response:
    """The whole result as an archive of numpy arrays."""
    return await _respond(service, run_id, "npz")


@router.get("/runs/{run_id}/result.{ending}", include_in_schema=False)
async def refuse_ending(ending: str) -> None:
    """There is no other format."""
    raise invalid_query("ending", ending, f"one of {', '.join(MEDIA_TYPES)}")


async def _respond(service: Runs, run_id: str, ending: str, arrays: Form = "nested") -> Response:
    run = await find_done(service, run_id)
    result = await load_result(service, run)
    is_packed = ending == "json" and arrays == "packed"
    body = await asyncio.to_thread(to_packed_json if is_packed else WRITERS[ending], run_id, result)
    form = f"json-{arrays}" if ending == "json" else ending
    # A finished run never changes, and its id names the numerics.
    headers = {"ETag": f'"{run_id}-{form}"', "Cache-Control": "private, max-age=86400"}
    if ending != "json":
        headers["Content-Disposition"] = f'attachment; filename="mhc-scope-{run_id}.{ending}"'
    return Response(body, headers=headers, media_type=MEDIA_TYPES[ending])
