"""Track the event stream of one run across connections, without network access."""

from mhc_core.record import codec
from mhc_core.record.frames import FRAME_KINDS, AnyFrame, EndFrame
from mhc_probe.client.errors import LostError
from mhc_probe.client.events import EventReader
from mhc_probe.client.exchange import (
    API,
    ApiRequest,
    ApiResponse,
    NoResponse,
    RetrySchedule,
    read_retry_after,
    to_error,
)

SSE = "text/event-stream"
BUSY = (429, 502, 503, 504)


class RunStream:
    """The position in a run's event stream. For each connection call `begin`, `receive` for every chunk, then `pause`.

    Attributes
    ----------
    is_over: whether the last frame was received.
    """

    def __init__(self, run_id: str, viewer: str, limit_s: float) -> None:
        self.is_over = False
        self._path = f"{API}/runs/{run_id}/events"
        self._viewer, self._patience = viewer, RetrySchedule(limit_s)
        self._last: str | None = None
        self._retry_s: float | None = None
        self._reader = EventReader()
        self._trouble: ApiResponse | NoResponse = NoResponse("the stream ended before the run")

    @property
    def request(self) -> ApiRequest:
        """Return the request that opens the stream after the last frame received."""
        headers = {"accept": SSE}
        if self._last is not None:
            headers["last-event-id"] = self._last
        return ApiRequest("GET", self._path, {"viewer": self._viewer}, None, headers)

    def begin(self, answer: ApiResponse | NoResponse) -> None:
        """Process the status and headers of the response to `request`, and its body if it is not an event stream.

        Raises
        ------
        RefusedError
            If the server refuses.
        """
        self._reader = EventReader()
        self._retry_s = None
        self._trouble = answer
        if isinstance(answer, NoResponse):
            return
        if answer.status in BUSY:
            self._retry_s = read_retry_after(answer.headers)
        elif answer.status == 204:
            self.is_over = True
        elif not answer.is_success or not answer.headers.get("content-type", "").startswith(SSE):
            raise to_error(self.request, answer)
        else:
            self._trouble = NoResponse("the stream ended before the run")

    def break_connection(self, reason: str) -> None:
        """Store why the connection of the event stream broke."""
        self._trouble = NoResponse(reason)

    def receive(self, chunk: bytes) -> list[AnyFrame]:
        """Return the frames that a chunk of the event stream completes."""
        frames = []
        for event in self._reader.feed(chunk):
            if event.kind not in FRAME_KINDS:  # such as a position in the queue, or a shutdown notice
                continue
            self._last = event.id
            frame = codec.decode_line(event.data)
            self.is_over = isinstance(frame, EndFrame)
            frames.append(frame)
        if frames:
            self._patience.renew()
        return frames

    def pause(self) -> float:
        """Return the seconds until the event stream is opened again.

        Raises
        ------
        LostError, RefusedError
            If the total wait exceeds `limit_s`.
        """
        pause = self._patience.next_pause(self._retry_s if self._retry_s is not None else self._reader.retry_s)
        if pause is not None:
            return pause
        error = to_error(self.request, self._trouble)
        raise LostError(f"{error}, for longer than the client waits") if isinstance(error, LostError) else error
