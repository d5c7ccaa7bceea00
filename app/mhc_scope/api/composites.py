"""Serve composites: the product of the mixing of any interval of layers."""

import asyncio

from fastapi import APIRouter, Depends

from mhc_core.metrics.intervals import multiply_interval
from mhc_core.spec import SpecError
from mhc_scope.api.dependencies import Service, charge_reading, find_done, load_result
from mhc_scope.api.models.composites import CompositeBody
from mhc_scope.api.models.links import API
from mhc_scope.api.problems import not_available
from mhc_scope.api.queries import LayerIndex, check_interval

router = APIRouter(prefix=API, tags=["runs"], dependencies=[Depends(charge_reading)])


@router.get("/runs/{run_id}/composite")
async def get_composite(
    run_id: str, service: Service, first: LayerIndex = None, last: LayerIndex = None
) -> CompositeBody:
    """Return H_last ... H_first with its sums and gains, of matrices averaged over samples; all layers by default."""
    run = await find_done(service, run_id)
    result = await load_result(service, run)
    first, last = check_interval(first, last, result.depth)
    if (h_res := result.matrices.get("h_res")) is None:
        wanted = "a connection whose layers mix streams with a matrix H_res"
        raise not_available(SpecError("connection", run.source.label, wanted))
    composite = await asyncio.to_thread(multiply_interval, h_res, first, last)
    return CompositeBody.build(run_id, first, last, composite)
