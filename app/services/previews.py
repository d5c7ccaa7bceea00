"""Previews of presets: a few points of one curve a run, from real results, computed when someone first looks.

One run at a time, as the server's own, and only while someone is looking: who drags a slider meanwhile waits for none.
"""

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.presets import PRESETS, Preset
from app.services.results import read_result
from app.services.runs import SERVER, Runs
from mhc_core.metrics import METRICS
from mhc_core.record.reduction import Reduced, reduce_metric
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec

log = logging.getLogger("mhc.previews")

POINTS = 64
LOOKED_S = 5.0  # a preview that no one has asked for in this time is not computed
PATIENCE_S = 0.5


@dataclass(frozen=True)
class Sketch:
    """One run of a preview: its curve on the scale of the metric, None where it has no number, and the number told."""

    curve: list[float | None]
    number: Reduced
    headline: str


class Previews:
    """What is known of the presets' runs, and the task that computes what is missing."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._sketches: dict[tuple[str, str], Sketch] = {}
        self._failed: dict[str, str] = {}
        self._looked_at = -math.inf
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> list[dict[str, Any]]:
        """Every preset's preview as it is now; what is missing begins to be computed."""
        self._looked_at = asyncio.get_running_loop().time()
        found = [await self._to_plain(preset) for preset in PRESETS]
        is_missing = any(run["status"] == "missing" for preview in found for run in preview["runs"])
        if is_missing and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._compute())
        return found

    async def stop(self) -> None:
        """Compute no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # Below: helpers.

    async def _to_plain(self, preset: Preset) -> dict[str, Any]:
        runs = []
        for label, spec in zip(preset.labels, preset.specs, strict=True):
            sketch = await self._find_sketch(preset, spec)
            status = "done" if sketch else "failed" if spec.id in self._failed else "missing"
            told: dict[str, Any] = {"curve": None, "value": None, "log10": None, "number": None, "headline": None}
            if sketch:
                number = sketch.number
                told = {"curve": sketch.curve, "value": number.value, "log10": number.log10, "number": number.status}
                told["headline"] = sketch.headline
            runs.append({"label": label, "id": spec.id, "status": status, "reason": self._failed.get(spec.id), **told})
        return {"name": preset.name, "runs": runs}

    async def _find_sketch(self, preset: Preset, spec: RunSpec) -> Sketch | None:
        key = (preset.name, spec.id)
        if key not in self._sketches:
            run = await self._runs.store.get(spec.id)
            if run is None or run.status != "done":
                return None
            result = await read_result(self._runs.log.read_all(spec.id))
            self._sketches[key] = await asyncio.to_thread(_to_sketch, preset, result)
        return self._sketches[key]

    async def _compute(self) -> None:
        loop = asyncio.get_running_loop()
        specs = {spec.id: spec for preset in PRESETS for spec in preset.specs}
        try:
            for spec in specs.values():
                if loop.time() - self._looked_at > LOOKED_S:
                    return
                if spec.id not in self._failed:
                    await self._compute_one(spec)
        except Exception:
            log.exception("previews could not be computed; the next look tries again")

    async def _compute_one(self, spec: RunSpec) -> None:
        await self._runs.submit([spec], SERVER)
        with self._runs.hub.subscribe([spec.id], "previews") as subscription:
            while self._runs.engine.position(spec.id) is not None:
                await subscription.wait(PATIENCE_S)
        run = await self._runs.store.get(spec.id)
        if run is not None and run.status == "failed":
            self._failed[spec.id] = run.reason or run.status


def _to_sketch(preset: Preset, result: Result) -> Sketch:
    column = _find_curve(preset.metric, result)
    places = np.unique(np.linspace(0, len(column) - 1, min(POINTS, len(column))).round().astype(int))
    curve = [float(value) if np.isfinite(value) else None for value in column[places]]
    number = reduce_metric(result, preset.metric, preset.reduction)
    return Sketch(curve, number, result.summary.headline.text)


def _find_curve(key: str, result: Result) -> np.ndarray:
    """The column over layers or steps, of what other axes there are the median."""
    metric = METRICS[key]
    values, log10 = result.layers, result.layers_log10
    if metric.table == "steps":
        values, log10 = result.steps, result.steps_log10
    column = (log10 if metric.scale == "log" else values).get(key)
    if column is None:
        return np.full(1, np.nan)
    return column if column.ndim == 1 else np.nanmedian(column, axis=tuple(range(1, column.ndim)))
