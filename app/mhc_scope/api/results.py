"""Serve results: a finished run as columns, in JSON, CSV or NPZ."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from mhc_scope.api.cached_files import CHANGELESS, matches_etag, respond_file
from mhc_scope.api.contents import describe_bytes, describe_texts
from mhc_scope.api.dependencies import Encoding, Service, charge_reading, find_done, load_result
from mhc_scope.api.models.links import API
from mhc_scope.api.models.results import ResultBody
from mhc_scope.api.problems import invalid_query
from mhc_scope.services.encoder import name_code
from mhc_scope.services.encoder_jobs import FORMS

router = APIRouter(prefix=API, tags=["runs"], dependencies=[Depends(charge_reading)])

Form = Literal["nested", "packed"]
ARRAYS = "Arrays of two or more dimensions in JSON: nested lists, or packed as in frames, `{dtype, bdata, shape}`."
Arrays = Annotated[Form, Query(description=ARRAYS)]

MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "npz": "application/octet-stream"}
CSV = describe_texts({MEDIA_TYPES["csv"]: "One row per layer; `left_out` in the first row names what has no column."})
NPZ = describe_bytes(MEDIA_TYPES["npz"], "Arrays by name, as numpy reads them.")


class Download:
    """A dependency that responds to requests for a result, with the services that it needs."""

    def __init__(self, request: Request, run_id: str, service: Service, encoder: Encoding) -> None:
        self.request, self._run_id, self._service, self._encoder = request, run_id, service, encoder

    async def respond(self, ending: str, arrays: Form = "nested", vary: str = "Accept-Encoding") -> Response:
        """Respond with the result of a run in one format. For a large run, it is a file that another process writes."""
        run = await find_done(self._service, self._run_id)
        form = f"json-{arrays}" if ending == "json" else ending
        is_large = self._encoder.is_large(run)
        # The middleware compresses small responses. Large ones are compressed elsewhere, to not block the server.
        is_packed = is_large and ending != "npz" and "gzip" in self.request.headers.get("accept-encoding", "")
        # The id identifies spec and numerics, and a finished run never changes; only the format of its files may.
        etag = f'"{run.id}-{form}-{name_code()}{"-gzip" if is_packed else ""}"'
        headers = {"ETag": etag, "Cache-Control": "private, max-age=86400", "Vary": vary}
        if matches_etag(self.request, etag):
            return Response(status_code=304, headers=headers)
        if ending != "json":
            headers["Content-Disposition"] = f'attachment; filename="mhc-scope-{run.id}.{ending}"'
        if not is_large:
            result = await load_result(self._service, run)
            body = await asyncio.to_thread(FORMS[form], run.id, result)
            return Response(body, headers=headers, media_type=MEDIA_TYPES[ending])
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        path = await self._encoder.get_result(run, form, is_packed=is_packed)
        return await respond_file(self.request, path, run.finished_at or 0.0, headers, MEDIA_TYPES[ending])


@router.get("/runs/{run_id}/result", response_model=ResultBody, responses={200: {"content": CSV | NPZ}, **CHANGELESS})
async def get_result(download: Annotated[Download, Depends()], arrays: Arrays = "nested") -> Response:
    """Return the whole result as columns, in the first of JSON, CSV and NPZ that `Accept` names; JSON by default."""
    accept = download.request.headers.get("accept", "")
    ending = next((name for name, media in MEDIA_TYPES.items() if media in accept), "json")
    return await download.respond(ending, arrays, vary="Accept, Accept-Encoding")


@router.get("/runs/{run_id}/result.json", response_model=ResultBody, responses=CHANGELESS)
async def get_result_json(download: Annotated[Download, Depends()], arrays: Arrays = "nested") -> Response:
    """Return the whole result of a run as JSON, a list for each column."""
    return await download.respond("json", arrays)


@router.get("/runs/{run_id}/result.csv", response_class=Response, responses={200: {"content": CSV}, **CHANGELESS})
async def get_result_csv(download: Annotated[Download, Depends()]) -> Response:
    """Return the columns over layers as a table. Matrices and steps of training are left out, and named in it."""
    return await download.respond("csv")


@router.get("/runs/{run_id}/result.npz", response_class=Response, responses={200: {"content": NPZ}, **CHANGELESS})
async def get_result_npz(download: Annotated[Download, Depends()]) -> Response:
    """Return the whole result as an archive of numpy arrays."""
    return await download.respond("npz")


@router.get("/runs/{run_id}/result.{ending}", include_in_schema=False)
async def refuse_format(ending: str) -> None:
    """Answer 404 to a request for a result in a format that does not exist."""
    raise invalid_query("ending", ending, f"one of {', '.join(MEDIA_TYPES)}")
