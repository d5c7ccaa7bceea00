"""Those who use a server in a load: each asks, waits when told to, and follows streams; what happens is counted."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import orjson

from benchmarks.service.files import CONNECTIONS, load_files
from mhc_service.identity import new_cookie

API = "/api/v1"
SSE = {"Accept": "text/event-stream"}
TIMEOUT_S = 120.0
# One who is told to wait again and again gives up, which counts as an error.
PATIENCE_S = 300.0
BUSY = (429, 503)


@dataclass
class Tally:
    """Answers of all visitors by status, refusals with Retry-After by status, and errors."""

    answers: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def note_error(self, text: str) -> None:
        """Store an error, which the table counts."""
        self.errors.append(text)


class Failed(RuntimeError):
    """A visitor could not do what it intended; the tally has the error."""


class Visitor:
    """A browser or a script, at an address of this machine, with a cookie of its own."""

    def __init__(self, url: str, tally: Tally, address: str = "127.0.0.1") -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        # Certificates, which nothing here has, would take 20 ms to load.
        transport = httpx.AsyncHTTPTransport(verify=False, local_address=address, limits=limits)
        self._url, self._address = url, address
        cookies = {"mhc_client": new_cookie()}
        self.http = httpx.AsyncClient(base_url=url, transport=transport, cookies=cookies, timeout=TIMEOUT_S)
        self.tally = tally
        self.name = os.urandom(4).hex()  # says which streams are this page's

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer; repeat the request while the server is busy.

        Raises
        ------
        Failed
            If no answer arrives, or it is another refusal.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = await self._ask_once(method, path, **options)
            if answer.is_success:
                return answer
            if answer.status_code not in BUSY or time.monotonic() > until:
                self.fail(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            await self.obey(answer)

    async def obey(self, answer: httpx.Response) -> None:
        """Wait as long as a refusal states."""
        self.tally.refused[answer.status_code] += 1
        if "retry-after" not in answer.headers:
            self.fail(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} without Retry-After")
        await asyncio.sleep(float(answer.headers["retry-after"]))

    def fail(self, text: str) -> None:
        """Store an error, and raise Failed."""
        self.tally.note_error(text)
        raise Failed(text)

    async def _ask_once(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            self.fail(f"{method} {path}: {type(error).__name__} {error}")
        self.tally.answers[answer.status_code] += 1
        return answer

    async def download(self, path: str, coding: str = "identity") -> int:
        """Read an answer piece by piece as it is sent. Return its bytes."""
        sent, until = 0, time.monotonic() + PATIENCE_S
        while True:
            try:
                async with self.http.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
                    if answer.is_success:
                        self.tally.answers[answer.status_code] += 1
                        async for chunk in answer.aiter_raw():
                            sent += len(chunk)
                        return sent
                    await answer.aread()
            except httpx.HTTPError as error:
                self.fail(f"GET {path}: {type(error).__name__} {error}")
            if answer.status_code not in BUSY or time.monotonic() > until:
                self.fail(f"GET {path}: {answer.status_code} {answer.text[:200]}")
            await self.obey(answer)

    async def load(self, paths: Iterable[str]) -> None:
        """Load files of the page, as a browser with an empty cache does."""
        try:
            await load_files(self._url, self._address, paths)
        except OSError as error:
            self.fail(f"files of the page: {error}")

    async def submit(self, spec: dict[str, Any]) -> str:
        """Start a run. Return its id."""
        run_id: str = (await self.ask("POST", f"{API}/runs", json=spec)).json()["id"]
        return run_id

    async def compute(self, spec: dict[str, Any]) -> str:
        """Start a run and follow it to its end. Return its id."""
        run_id = await self.submit(spec)
        _, end = await self.follow(run_id)
        if end != "done":
            self.fail(f"run {run_id} ended as {end}")
        return run_id

    async def follow(self, run_id: str, after: int = -1, until: float = float("inf")) -> tuple[int, str | None]:
        """Read frames after `after`, and cut the stream after frame `until`. Return the last index and the status."""
        headers = {**SSE, "Last-Event-ID": str(after)}
        async for event in self._read_events("GET", f"{API}/runs/{run_id}/events?viewer={self.name}", headers=headers):
            if event.id is None:
                continue
            if int(event.id) != after + 1:
                self.fail(f"run {run_id}: frame {event.id} came behind {after}")
            after += 1
            if event.kind == "end":
                return after, orjson.loads(event.data)["status"]
            if after >= until:
                break
        return after, None

    async def compare(self, specs: list[dict[str, Any]], query: str = "") -> AsyncIterator["Event"]:
        """Start runs and follow them on the same response, as the page does."""
        path = f"{API}/runs/compare?viewer={self.name}{query}"
        async for event in self._read_events("POST", path, headers=SSE, json=specs):
            yield event

    async def _read_events(self, method: str, path: str, **options: Any) -> AsyncIterator["Event"]:
        """Yield the events of a stream; repeat the request while the server is busy. Raise Failed after some time."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                async with self.http.stream(method, path, **options) as answer:
                    if answer.is_success:
                        self.tally.answers[answer.status_code] += 1
                        async for event in parse_events(answer.aiter_bytes()):
                            yield event
                        return
                    await answer.aread()
            except httpx.HTTPError as error:
                self.fail(f"{method} {path}: {type(error).__name__} {error}")
            if answer.status_code not in BUSY or time.monotonic() > until:
                self.fail(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            await self.obey(answer)


@dataclass(frozen=True)
class Event:
    """One event of a stream; an event without an id is no frame."""

    kind: str
    id: str | None
    data: bytes


async def parse_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Yield the events of a stream from chunks of any length, without comments and bare fields."""
    rest = b""
    async for piece in pieces:
        *blocks, rest = (rest + piece).split(b"\n\n")
        for block in blocks:
            lines = [line.partition(b": ") for line in block.split(b"\n") if not line.startswith(b":")]
            fields = {name.decode(): value for name, _, value in lines}
            if "data" in fields:
                number = fields["id"].decode() if "id" in fields else None
                yield Event(fields.get("event", b"message").decode(), number, fields["data"])
