"""Provide the client for asyncio programs."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from mhc_core.record.frames import AnyFrame, EndFrame
from mhc_core.record.reduction import Reduction
from mhc_core.record.result import Result
from mhc_probe.client import calls
from mhc_probe.client.calls import Record, Spec, to_id
from mhc_probe.client.errors import RunFailedError
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


class AsyncClient:
    """`Client` for asyncio: the same methods, each awaited. `follow` is an asynchronous iterator."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        patience_s: float = PATIENCE_S,
        progress: bool | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=check_url(url), timeout=TIMEOUT_S, headers=read_token(token))
        self._patience_s, self._progress = patience_s, progress
        self._viewer = secrets.token_hex(8)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._http.aclose()

    async def submit(self, spec: Spec) -> Run:
        """Start a run, or return the existing run of the same spec. Does not wait for the result."""
        return await self._perform_call(calls.submit(spec, self._patience_s))

    async def compare(self, specs: Sequence[Spec]) -> list[Run]:
        """Start several runs that share seed and input: all of them or none."""
        return await self._perform_call(calls.compare(specs, self._patience_s))

    async def get_run(self, record: Record) -> Run:
        """Return a run with its current status."""
        return await self._perform_call(calls.get_run(record, self._patience_s))

    async def cancel(self, record: Record) -> str:
        """Cancel a run, unless another viewer follows it. Return its status afterwards."""
        return await self._perform_call(calls.cancel(record, self._viewer, self._patience_s))

    async def follow(self, record: Record) -> AsyncIterator[AnyFrame]:
        """Yield the frames of a run as they arrive, from the first to `end`, across lost connections and restarts."""
        stream = RunStream(to_id(record), self._viewer, self._patience_s)
        with closing(RunBar(to_id(record), self._progress)) as bar:
            while True:
                async with aclosing(self._open_stream(stream)) as chunks:
                    async for chunk in chunks:
                        for frame in stream.receive(chunk):
                            bar.take(frame)
                            yield frame
                if stream.is_over:
                    return
                await asyncio.sleep(stream.pause())

    async def result(self, record: Record) -> Result:
        """Wait for a run and return its result.

        Raises
        ------
        RunFailedError
            If the run ends without a result.
        """
        result = Result()
        async for frame in self.follow(record):
            result.add(frame)
            if isinstance(frame, EndFrame) and frame.status != "done":
                raise RunFailedError(to_id(record), frame.status, frame.reason)
        return result

    async def figure(self, record: Record, panel: str, *, others: Sequence[Record] = (), **options: Any) -> Figure:
        """Return a panel with the data of a run and of `others`. Options are those of the API, such as `layer`.

        Raises
        ------
        RefusedError
            If the API has no such option or value; the message lists those that exist.
        """
        return await self._perform_call(
            calls.get_figure(record, panel, {"others": others, **options}, self._patience_s)
        )

    async def atlas(self, record: Record) -> Atlas:
        """Compute the atlas of a finished run, the effect of each single cut on its output, and wait for it.

        Raises
        ------
        RefusedError
            If the run has edits or no result, or its atlas was cancelled.
        """
        return await self._perform_call(calls.compute_atlas(record, self._patience_s))

    async def lens(self, record: Record) -> Lens:
        """Compute the lens of a finished run, with linear probes of its streams, and wait for it.

        Raises
        ------
        RefusedError
            If the run has no result or reads vectors, or its lens was cancelled.
        """
        return await self._perform_call(calls.compute_lens(record, self._patience_s))

    async def sweep(self, spec: Spec, axes: Mapping[str, Sequence[Any]]) -> Sweep:
        """Start a grid of runs over one or two fields, such as `{"depth": [16, 64]}`, and wait until all have ended."""
        with closing(SweepBar(self._progress)) as bar:
            return await self._perform_call(calls.run_sweep(spec, axes, bar, self._patience_s))

    async def start_sweep(self, spec: Spec, axes: Mapping[str, Sequence[Any]]) -> Sweep:
        """Start a grid of runs as `sweep` does, without waiting."""
        return await self._perform_call(calls.start_sweep(spec, axes, self._patience_s))

    async def get_sweep(self, sweep: Sweep | str) -> Sweep:
        """Return the progress of a sweep."""
        return await self._perform_call(calls.get_sweep(sweep, self._patience_s))

    async def cancel_sweep(self, sweep: Sweep | str) -> Sweep:
        """Cancel the runs of a sweep that have not ended."""
        return await self._perform_call(calls.cancel_sweep(sweep, self._patience_s))

    async def sweep_values(self, sweep: Sweep | Snapshot | str, metric: str, reduce: Reduction = "max") -> SweepValues:
        """Return one number per run of a sweep: a metric, reduced over layers or steps."""
        return await self._perform_call(calls.get_sweep_values(sweep, metric, reduce, self._patience_s))

    async def sweep_figure(
        self, sweep: Sweep | Snapshot | str, metric: str, reduce: Reduction = "max", theme: str = "light"
    ) -> Figure:
        """Return the values of `sweep_values` as a heatmap."""
        return await self._perform_call(calls.get_sweep_figure(sweep, metric, reduce, theme, self._patience_s))

    async def create_snapshot(
        self,
        records: Sequence[Record],
        *,
        state: str = "",
        title: str = "",
        note: str = "",
        sweep: Sweep | Snapshot | str | None = None,
    ) -> Snapshot:
        """Keep finished runs permanently. `state` is the page's state, as it follows `#` in the page's address."""
        return await self._perform_call(calls.create_snapshot(records, state, title, note, sweep, self._patience_s))

    async def get_snapshot(self, snapshot: Snapshot | str) -> Snapshot:
        """Return a stored view."""
        return await self._perform_call(calls.get_snapshot(snapshot, self._patience_s))

    async def publish(self, trace: str | Path | Result) -> Trace:
        """Upload a recording: the path of a `.mhct` file, or a result. The server shows it like any record."""
        return await self._perform_call(calls.publish(trace, self._patience_s))

    async def get_twin(self, trace: Record) -> Twin:
        """Return a synthetic stack similar to a recorded model, to compare with it."""
        return await self._perform_call(calls.get_twin(trace, self._patience_s))

    async def _perform_call(self, call: Call[T]) -> T:
        """Send the requests that a call yields, wait when it yields a pause, and return its result."""
        answer: ApiResponse | NoResponse | None = None
        while True:
            try:
                step = call.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                answer = None
            else:
                answer = await self._send_request(step)

    async def _send_request(self, request: ApiRequest) -> ApiResponse | NoResponse:
        """Send one request; return its response, or why none arrived."""
        try:
            answer = await self._http.request(
                request.method,
                request.path,
                params=request.params,
                content=request.body,
                headers=request.headers,
            )
        except httpx.TransportError as error:
            return NoResponse(str(error) or type(error).__name__)
        return ApiResponse(answer.status_code, answer.headers, answer.content)

    async def _open_stream(self, stream: RunStream) -> AsyncGenerator[bytes]:
        """Yield the chunks of a run's event stream until the connection ends or breaks; `stream` stores the reason."""
        request = stream.request
        try:
            async with self._http.stream(
                request.method, request.path, params=request.params, headers=request.headers
            ) as answer:
                is_stream = answer.status_code == 200
                body = b"" if is_stream else await answer.aread()
                stream.begin(ApiResponse(answer.status_code, answer.headers, body))
                if is_stream:
                    async for chunk in answer.aiter_bytes():
                        yield chunk
        except httpx.TransportError as error:
            stream.break_connection(str(error) or type(error).__name__)
