"""Route of composites: the mixing of any interval of layers, multiplied."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from app.api.http.problems import Problem
from app.api.models import API, CompositeBody, Magnitude
from app.api.runs import Service, find_done, load_result
from mhc_core.metrics.mixing import composite, measure_composites, unscale
from mhc_core.record.result import Result
from mhc_core.spec import SpecError

router = APIRouter(prefix=API, tags=["runs"])

LayerIndex = Annotated[int | None, Query(description="A layer, from 0 and inclusive.")]


@router.get("/runs/{run_id}/composite")
async def get_composite(
    run_id: str, service: Service, first: LayerIndex = None, last: LayerIndex = None
) -> CompositeBody:
    """H_last ... H_first with its sums and gains, of matrices averaged over samples; all layers without an interval."""
    run = await find_done(service, run_id)
    result = await load_result(service, run)
    first, last = check_interval(first, last, result.start["layers"])
    return await asyncio.to_thread(build_composite, run_id, result, first, last)


def build_composite(run_id: str, result: Result, first: int, last: int) -> CompositeBody:
    """The composite of an interval that lies in the run."""
    matrices = result.matrices["h_res"].astype(np.float64)
    scaled, exponent = composite(matrices, first, last)
    value, _ = unscale(scaled, np.asarray(exponent))
    lies_in_range = np.isfinite(value).all() and (value.any() or not scaled.any())
    shown = value if lies_in_range else scaled
    columns = measure_composites(matrices[first : last + 1])
    deviation = np.concatenate([(value.sum(0) - 1), (value.sum(1) - 1)])
    ds_error = max(np.abs(deviation).max(), -value.min())
    with np.errstate(divide="ignore", invalid="ignore"):
        ds_error_log10 = np.log10(ds_error)
    return CompositeBody(
        run=run_id,
        first=first,
        last=last,
        scale_log10=0.0 if lies_in_range else exponent * np.log10(2.0),
        matrix=[_to_numbers(row) for row in shown],
        row_sums=_to_numbers(shown.sum(1)),
        col_sums=_to_numbers(shown.sum(0)),
        gain_fwd=_to_magnitude(columns["composite_gain_fwd"], -1),
        gain_bwd=_to_magnitude(columns["composite_gain_bwd"], 0),
        sigma2=_to_magnitude(columns["composite_sigma2"], -1) if "composite_sigma2" in columns else None,
        ds_error=Magnitude(value=_to_number(ds_error), log10=_to_number(ds_error_log10)),
    )


def check_interval(first: int | None, last: int | None, layers: int) -> tuple[int, int]:
    """An interval of layers, all of them without one."""
    start, end = 0 if first is None else first, layers - 1 if last is None else last
    if not 0 <= end < layers:
        raise _refuse("last", end, f"0 to {layers - 1}")
    if not 0 <= start <= end:
        raise _refuse("first", start, f"0 to {end}, the last layer of the interval")
    return start, end


def _refuse(field: str, got: int, wanted: str) -> Problem:
    error = SpecError(field, got, wanted)
    return Problem("invalid-query", 422, str(error), errors=[error])


def _to_magnitude(column: tuple[np.ndarray, np.ndarray], place: int) -> Magnitude:
    value, log10 = column
    return Magnitude(value=_to_number(value[place]), log10=_to_number(log10[place]))


def _to_numbers(values: np.ndarray) -> list[float | None]:
    return [_to_number(value) for value in values]


def _to_number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
