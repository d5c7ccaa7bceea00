"""Define every call of the API as a generator of requests, without network access; see `exchange`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_probe.client.errors import ArgumentError, RefusedError
from mhc_probe.client.exchange import API, ApiRequest, Call, Pause, send, send_json
from mhc_probe.client.models import Atlas, Figure, Lens, Run, Snapshot, Sweep, SweepValues, Trace, Twin
from mhc_probe.client.progress import SweepBar

# Argument of submit: a spec, or its fields.
Spec = RunSpec | Mapping[str, Any]
# Argument that identifies a record: an object of the client, or an id.
Record = Run | Trace | str
FIRST_LOOK_S, LAST_LOOK_S = 0.1, 2.0  # first and longest pause between two requests for a sweep
OCTETS = "application/octet-stream"


def to_id(record: Run | Trace | Sweep | Snapshot | str) -> str:
    """Return the id of an object that a call returned, or the id itself."""
    if isinstance(record, str):
        if not re.fullmatch(r"[\w-]+", record):  # else it would change the path of the request
            raise ArgumentError("id", record, "letters and digits, as in the id of a run")
        return record
    if not isinstance(record, Run | Trace | Sweep | Snapshot):
        raise ArgumentError("record", record, "what a call of the client returned, or its id")
    return record.id


def submit(spec: Spec, limit_s: float) -> Call[Run]:
    """Start a run on the server, or find the run of the same spec."""
    body = yield from send_json("POST", "/runs", limit_s, body=to_json_dict(spec))
    return Run.from_response(body)


def compare(specs: Sequence[Spec], limit_s: float) -> Call[list[Run]]:
    """Start several runs that share seed and input."""
    if isinstance(specs, str | Mapping | RunSpec) or not isinstance(specs, Iterable):
        raise ArgumentError("specs", specs, "a list of specs")
    bodies = yield from send_json("POST", "/runs/compare", limit_s, body=[to_json_dict(spec) for spec in specs])
    return [Run.from_response(body) for body in bodies]


def get_run(record: Record, limit_s: float) -> Call[Run]:
    """Return a run with its current status."""
    body = yield from send_json("GET", f"/runs/{to_id(record)}", limit_s)
    return Run.from_response(body)


def cancel(record: Record, viewer: str, limit_s: float) -> Call[str]:
    """Cancel a run and return its status afterwards."""
    body = yield from send_json("DELETE", f"/runs/{to_id(record)}", limit_s, params={"viewer": viewer})
    status: str = body["status"]
    return status


def get_figure(record: Record, panel: str, options: Mapping[str, Any], limit_s: float) -> Call[Figure]:
    """Return a figure of a run. The request is repeated until the run is done."""
    params = to_params(options)
    body = yield from send_json("GET", f"/runs/{to_id(record)}/figures/{panel}", limit_s, params=params)
    return Figure(body)


def compute_atlas(record: Record, limit_s: float) -> Call[Atlas]:
    """Start the atlas of a run, or find it, and wait until it is done."""
    return Atlas.from_response((yield from _compute_and_wait(record, "atlas", limit_s)))


def compute_lens(record: Record, limit_s: float) -> Call[Lens]:
    """Start the lens of a run, or find it, and wait until it is done."""
    return Lens.from_response((yield from _compute_and_wait(record, "lens", limit_s)))


def _compute_and_wait(record: Record, kind: str, limit_s: float) -> Call[dict[str, Any]]:
    """Start a computation on a record, `atlas` or `lens`, and request it at growing intervals until it is done."""
    path, pause = f"/runs/{to_id(record)}/{kind}", FIRST_LOOK_S
    body: dict[str, Any] = yield from send_json("POST", path, limit_s)
    while body["status"] != "done":
        yield Pause(pause)
        pause = min(LAST_LOOK_S, 1.5 * pause)
        body = yield from send_json("GET", path, limit_s)
    return body


def start_sweep(spec: Spec, axes: Mapping[str, Sequence[Any]], limit_s: float) -> Call[Sweep]:
    """Start a grid of runs, or find the same grid."""
    if not isinstance(axes, Mapping):
        raise ArgumentError("axes", axes, "a dict of one or two fields of the spec, each with its values")
    if not 1 <= len(axes) <= 2:
        raise ArgumentError("axes", sorted(axes), "one or two fields of the spec, each with its values")
    x, *y = ({"field": field, "values": list(values)} for field, values in axes.items())
    request = {"spec": to_json_dict(spec), "x": x, **({"y": y[0]} if y else {})}
    body = yield from send_json("POST", "/runs/sweep", limit_s, body=request)
    return Sweep.from_response(body)


def run_sweep(spec: Spec, axes: Mapping[str, Sequence[Any]], bar: SweepBar, limit_s: float) -> Call[Sweep]:
    """Start a grid of runs and wait until all have ended."""
    sweep = yield from start_sweep(spec, axes, limit_s)
    pause = FIRST_LOOK_S
    while True:
        bar.show(sweep)
        if not sweep.is_open:
            return sweep
        yield Pause(pause)
        pause = min(LAST_LOOK_S, 1.5 * pause)
        try:
            sweep = yield from get_sweep(sweep, limit_s)
        except RefusedError as error:
            if error.status != 404:
                raise
            # A restarted server has lost the sweep, but not its runs.
            sweep = yield from start_sweep(spec, axes, limit_s)


def get_sweep(sweep: Sweep | str, limit_s: float) -> Call[Sweep]:
    """Return the progress of a sweep."""
    body = yield from send_json("GET", f"/runs/sweep/{to_id(sweep)}", limit_s)
    return Sweep.from_response(body)


def cancel_sweep(sweep: Sweep | str, limit_s: float) -> Call[Sweep]:
    """Cancel the runs of a sweep that have not ended, and return the sweep."""
    body = yield from send_json("DELETE", f"/runs/sweep/{to_id(sweep)}", limit_s)
    return Sweep.from_response(body)


def get_sweep_values(sweep: Sweep | Snapshot | str, metric: str, reduce: str, limit_s: float) -> Call[SweepValues]:
    """Return one number per run of a sweep."""
    params = {"metric": metric, "reduce": reduce}
    body = yield from send_json("GET", f"{_get_path(sweep)}/values", limit_s, params=params)
    return SweepValues.from_response(body)


def get_sweep_figure(
    sweep: Sweep | Snapshot | str, metric: str, reduce: str, theme: str, limit_s: float
) -> Call[Figure]:
    """Return the values of a sweep as a heatmap."""
    params = {"metric": metric, "reduce": reduce, "theme": theme}
    body = yield from send_json("GET", f"{_get_path(sweep)}/figure", limit_s, params=params)
    return Figure(body)


def create_snapshot(
    records: Sequence[Record], state: str, title: str, note: str, sweep: Sweep | Snapshot | str | None, limit_s: float
) -> Call[Snapshot]:
    """Store finished runs on the server permanently, as a snapshot."""
    body: dict[str, Any] = {"runs": list(map(to_id, records)), "state": state, "title": title, "note": note}
    if sweep is not None:
        body["sweep"] = to_id(sweep)
    answer = yield from send_json("POST", "/snapshots", limit_s, body=body)
    return Snapshot.from_response(answer)


def get_snapshot(snapshot: Snapshot | str, limit_s: float) -> Call[Snapshot]:
    """Return a view that is stored on the server."""
    body = yield from send_json("GET", f"/snapshots/{to_id(snapshot)}", limit_s)
    return Snapshot.from_response(body)


def publish(trace: str | Path | Result, limit_s: float) -> Call[Trace]:
    """Upload a recording: the path of its file, or a result in memory."""
    if not isinstance(trace, Result | str | Path):
        raise ArgumentError("trace", trace, "a result, or the path of a file that it was saved to")
    content = trace.to_bytes() if isinstance(trace, Result) else Path(trace).read_bytes()
    answer = yield from send(ApiRequest("POST", f"{API}/traces", {}, content, {"content-type": OCTETS}), limit_s)
    body = answer.read_json()
    return Trace(body["id"], body["url"])


def get_twin(record: Record, limit_s: float) -> Call[Twin]:
    """Return a synthetic stack similar to a recorded model."""
    body = yield from send_json("GET", f"/runs/{to_id(record)}/twin", limit_s)
    return Twin(body["spec"], body["unknown"])


def to_json_dict(spec: Spec) -> dict[str, Any]:
    """Return the fields of a spec that are set, as JSON types. A dict is only copied, because the server checks it."""
    if isinstance(spec, RunSpec):
        return spec.model_dump(mode="json", exclude_unset=True)
    if not isinstance(spec, Mapping):
        raise ArgumentError("spec", spec, "a RunSpec, or a dict of its fields such as {'depth': 64}")
    return dict(spec)


def to_params(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return query parameters for the options of a figure that are not None. Records are replaced by their ids."""
    params = {key: value for key, value in options.items() if value is not None}
    others = params.pop("others", ())
    if others:
        params["with"] = ",".join(map(to_id, others))
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}


def _get_path(sweep: Sweep | Snapshot | str) -> str:
    return f"/snapshots/{sweep.id}/sweep" if isinstance(sweep, Snapshot) else f"/runs/sweep/{to_id(sweep)}"
