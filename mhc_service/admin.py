"""Serve the operator's page: runs, clients and their use, disk space, and buttons to stop runs and delete data.

The page has no script. A button sends a POST request, which is accepted only from this page itself.
"""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from mhc_scope.api.dependencies import Encoding, Service
from mhc_scope.api.problems import not_found
from mhc_scope.pages.routes import get_pages
from mhc_scope.pages.security import FORM_HEADERS, require_own_page
from mhc_scope.services.storage import Storage
from mhc_service.admin_access import require_operator_password
from mhc_service.metrics_registry import count_free_bytes
from mhc_service.operator_queries import OperatorQueries
from mhc_service.operators import get_operator_queries

router = APIRouter(prefix="/admin", include_in_schema=False)

SHOWN = 20  # number of ended runs, and of clients, on the page
RECENT_S = 86_400.0
# Texts that the page shows after a button was used.
DONE = {
    "stopped": "The run was stopped.",
    "cleared": "The result files were deleted. They are written again on request.",
    "pruned": "Old runs and snapshots will be deleted within seconds. The log says how many.",
}
Reads = Annotated[OperatorQueries, Depends(get_operator_queries)]


@router.get("", dependencies=[Depends(require_operator_password)])
async def get_admin_page(request: Request, service: Service, queries: Reads, encoder: Encoding) -> Response:
    """Return the operator's page: runs, clients, storage and their controls."""
    now, settings = time.time(), request.app.state.settings
    live, ended = await queries.list_live(), await queries.list_ended(now - RECENT_S, SHOWN)
    of_frames, of_database = await queries.count_bytes()
    sizes = {
        "Database": of_database,
        "Frames of runs in it": of_frames,
        "Result files": await asyncio.to_thread(lambda: encoder.files.size_bytes),
        "Free disk space": count_free_bytes(settings.data),
    }
    page = get_pages(request).render(
        "service/admin.html",
        now=now,
        live=live,
        ended=ended,
        clients=await queries.list_clients(SHOWN),
        sizes=sizes,
        engine=service.engine,
        worker_count=settings.worker_count,
        streams=request.app.state.policy.event_streams.open,
        encodings=encoder.pool.jobs,
        done=DONE.get(request.query_params.get("done", "")),
        format_bytes=format_bytes,
        format_s=format_s,
    )
    page.headers.update(FORM_HEADERS)
    return page


@router.post("/runs/{run_id}/stop", dependencies=[Depends(require_own_page), Depends(require_operator_password)])
async def stop_run(run_id: str, service: Service) -> Response:
    """Stop a run, even if others watch it."""
    run = await service.store.get(run_id)
    if run is None:
        raise not_found("run", run_id)
    await service.cancel(run, viewer=None)
    return RedirectResponse("../../../admin?done=stopped", 303)


@router.post("/results/clear", dependencies=[Depends(require_own_page), Depends(require_operator_password)])
async def clear_results(encoder: Encoding) -> Response:
    """Delete the cached files of large results, on the operator's request."""
    await asyncio.to_thread(encoder.files.clear)
    return RedirectResponse("../../admin?done=cleared", 303)


@router.post("/prune", dependencies=[Depends(require_own_page), Depends(require_operator_password)])
async def prune(request: Request) -> Response:
    """Start deleting old runs immediately, on the operator's request."""
    storage: Storage = request.app.state.storage
    storage.is_near_full.set()
    return RedirectResponse("../admin?done=pruned", 303)


def format_bytes(size: float) -> str:
    """Format bytes for people: three digits and a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def format_s(seconds: float) -> str:
    """Format seconds for people, to about two digits."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
