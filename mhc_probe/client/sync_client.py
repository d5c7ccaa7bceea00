"""Provide the client for synchronous scripts."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from mhc_core.record.frames import AnyFrame, EndFrame
from mhc_core.record.reduction import Reduction
from mhc_core.record.result import Result
from mhc_probe.client import calls
from mhc_probe.client.calls import Record, Spec, to_id
from mhc_probe.client.errors import ClientError, RunFailedError
from mhc_probe.client.exchange import (
    PATIENCE_S,
    TIMEOUT_S,
    ApiRequest,
    ApiResponse,
    Call,
    NoResponse,
    Pause,
    T,
    check_url,
    read_token,
)
from mhc_probe.client.models import Atlas, Figure, Lens, Run, Snapshot, Sweep, SweepValues, Trace, Twin
from mhc_probe.client.progress import RunBar, SweepBar
from mhc_probe.client.run_stream import RunStream


class Client:
    """A client of one server, for scripts that wait for each result. Use it as a context, or close it.

    Every call raises a `ClientError`: `ArgumentError` if an argument is invalid, `RefusedError` if the server
    refuses, with the fields that are wrong, and `LostError` if it is unreachable. While a server is busy, requests
    are repeated after the time it gives, or after increasing pauses.

    Parameters
    ----------
    url: address of the server; by default `MHC_SCOPE_URL` of the environment, or port 8000 of this machine.
    token: access token, for a server that requires one; by default `MHC_SCOPE_TOKEN` of the environment.
    patience_s: seconds that a call waits for a busy or unreachable server, by default 60.
    progress: whether to show progress bars; by default if standard error is a terminal.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        patience_s: float = PATIENCE_S,
        progress: bool | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=check_url(url), timeout=TIMEOUT_S, headers=read_token(token))
        self._patience_s, self._progress = patience_s, progress
        self._viewer = secrets.token_hex(8)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def submit(self, spec: Spec) -> Run:
        """Start a run, or return the existing run of the same spec. Does not wait for the result."""
        return self._set_look(self._perform_call(calls.submit(spec, self._patience_s)))

    def compare(self, specs: Sequence[Spec]) -> list[Run]:
        """Start several runs that share seed and input: all of them or none."""
        return list(map(self._set_look, self._perform_call(calls.compare(specs, self._patience_s))))

    def get_run(self, record: Record) -> Run:
        """Return a run with its current status."""
        return self._set_look(self._perform_call(calls.get_run(record, self._patience_s)))

    def cancel(self, record: Record) -> str:
        """Cancel a run, unless another viewer follows it. Return its status afterwards."""
        return self._perform_call(calls.cancel(record, self._viewer, self._patience_s))

    def follow(self, record: Record) -> Iterator[AnyFrame]:
        """Yield the frames of a run as they arrive, from the first to `end`, across lost connections and restarts."""
        stream = RunStream(to_id(record), self._viewer, self._patience_s)
        with closing(RunBar(to_id(record), self._progress)) as bar:
            while True:
                for chunk in self._open_stream(stream):
                    for frame in stream.receive(chunk):
                        bar.take(frame)
                        yield frame
                if stream.is_over:
                    return
                time.sleep(stream.pause())

    def result(self, record: Record) -> Result:
        """Wait for a run and return its result.

        Raises
        ------
        RunFailedError
            If the run ends without a result.
        """
        result = Result()
        for frame in self.follow(record):
            result.add(frame)
            if isinstance(frame, EndFrame) and frame.status != "done":
                raise RunFailedError(to_id(record), frame.status, frame.reason)
        return result

    def figure(self, record: Record, panel: str, *, others: Sequence[Record] = (), **options: Any) -> Figure:
        """Return a panel with the data of a run and of `others`. Options are those of the API, such as `layer`.

        Raises
        ------
        RefusedError
            If the API has no such option or value; the message lists those that exist.
        """
        return self._perform_call(calls.get_figure(record, panel, {"others": others, **options}, self._patience_s))

    def atlas(self, record: Record) -> Atlas:
        """Compute the atlas of a finished run, the effect of each single cut on its output, and wait for it.

        Raises
        ------
        RefusedError
            If the run has edits or no result, or its atlas was cancelled.
        """
        return self._perform_call(calls.compute_atlas(record, self._patience_s))

    def lens(self, record: Record) -> Lens:
        """Compute the lens of a finished run, with linear probes of its streams, and wait for it.

        Raises
        ------
        RefusedError
            If the run has no result or reads vectors, or its lens was cancelled.
        """
        return self._perform_call(calls.compute_lens(record, self._patience_s))

    def sweep(self, spec: Spec, axes: Mapping[str, Sequence[Any]]) -> Sweep:
        """Start a grid of runs over one or two fields, such as `{"depth": [16, 64]}`, and wait until all have ended."""
        with closing(SweepBar(self._progress)) as bar:
            return self._perform_call(calls.run_sweep(spec, axes, bar, self._patience_s))

    def start_sweep(self, spec: Spec, axes: Mapping[str, Sequence[Any]]) -> Sweep:
        """Start a grid of runs as `sweep` does, without waiting."""
        return self._perform_call(calls.start_sweep(spec, axes, self._patience_s))

    def get_sweep(self, sweep: Sweep | str) -> Sweep:
        """Return the progress of a sweep."""
        return self._perform_call(calls.get_sweep(sweep, self._patience_s))

    def cancel_sweep(self, sweep: Sweep | str) -> Sweep:
        """Cancel the runs of a sweep that have not ended."""
        return self._perform_call(calls.cancel_sweep(sweep, self._patience_s))

    def sweep_values(self, sweep: Sweep | Snapshot | str, metric: str, reduce: Reduction = "max") -> SweepValues:
        """Return one number per run of a sweep: a metric, reduced over layers or steps."""
        return self._perform_call(calls.get_sweep_values(sweep, metric, reduce, self._patience_s))

    def sweep_figure(
        self, sweep: Sweep | Snapshot | str, metric: str, reduce: Reduction = "max", theme: str = "light"
    ) -> Figure:
        """Return the values of `sweep_values` as a heatmap."""
        return self._perform_call(calls.get_sweep_figure(sweep, metric, reduce, theme, self._patience_s))

    def create_snapshot(
        self,
        records: Sequence[Record],
        *,
        state: str = "",
        title: str = "",
        note: str = "",
        sweep: Sweep | Snapshot | str | None = None,
    ) -> Snapshot:
        """Keep finished runs permanently. `state` is the page's state, as it follows `#` in the page's address."""
        return self._perform_call(calls.create_snapshot(records, state, title, note, sweep, self._patience_s))

    def get_snapshot(self, snapshot: Snapshot | str) -> Snapshot:
        """Return a stored view."""
        return self._perform_call(calls.get_snapshot(snapshot, self._patience_s))

    def publish(self, trace: str | Path | Result) -> Trace:
        """Upload a recording: the path of a `.mhct` file, or a result. The server shows it like any record."""
        return replace(self._perform_call(calls.publish(trace, self._patience_s)), look=self._look)

    def get_twin(self, trace: Record) -> Twin:
        """Return a synthetic stack similar to a recorded model, to compare with it."""
        return self._perform_call(calls.get_twin(trace, self._patience_s))

    def _set_look(self, run: Run) -> Run:
        """Return the run with the function that a notebook uses to show it."""
        return replace(run, look=self._look)

    def _look(self, record_id: str) -> tuple[str, Result | None]:
        """Return a record's status, and its result if it is done. For notebooks: does not wait for a running record."""
        if self._http.is_closed:
            raise ClientError("the client is closed")
        run = self._perform_call(calls.get_run(record_id, 0.0))
        return run.status, self.result(record_id) if run.status == "done" else None

    def _perform_call(self, call: Call[T]) -> T:
        """Send the requests that a call yields, wait when it yields a pause, and return its result."""
        answer: ApiResponse | NoResponse | None = None
        while True:
            try:
                step = call.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                answer = None
            else:
                answer = self._send_request(step)

    def _send_request(self, request: ApiRequest) -> ApiResponse | NoResponse:
        """Send one request; return its response, or why none arrived."""
        try:
            answer = self._http.request(
                request.method,
                request.path,
                params=request.params,
                content=request.body,
                headers=request.headers,
            )
        except httpx.TransportError as error:
            return NoResponse(str(error) or type(error).__name__)
        return ApiResponse(answer.status_code, answer.headers, answer.content)

    def _open_stream(self, stream: RunStream) -> Iterator[bytes]:
        """Yield the chunks of a run's event stream until the connection ends or breaks; `stream` stores the reason."""
        request = stream.request
        try:
            with self._http.stream(
                request.method, request.path, params=request.params, headers=request.headers
            ) as answer:
                is_stream = answer.status_code == 200
                body = b"" if is_stream else answer.read()
                stream.begin(ApiResponse(answer.status_code, answer.headers, body))
                if is_stream:
                    yield from answer.iter_bytes()
        except httpx.TransportError as error:
            stream.break_connection(str(error) or type(error).__name__)
