"""Send a growing recording to a server, whose page shows it live. docs/protocol.md describes the three requests."""

import http.client
import json
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import orjson

from mhc_core.record.codec import frame_type
from mhc_core.record.credentials import to_headers
from mhc_core.spec import SpecError
from mhc_probe.monitor.delivery import MAX_WAITING, DestinationRefusedError, UnavailableError

PREFIX = "/api/v1/traces"
TIMEOUT_S = 20.0
MAX_BODY = 4 * 2**20  # bytes; a single line may exceed it
RETRYABLE = {408, 425, 429}  # and all 5xx: a retry may succeed
GAP_STATUS = 409
MAX_DETAIL = 300  # characters of the server's explanation in a message


class LiveServer:
    """A server that receives lines with their index, so that a repeated request neither loses nor duplicates a line.

    Attributes
    ----------
    link: address of the page that shows the recording; None until the server has created it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpecError("to", url, "an address such as http://127.0.0.1:8000")
        self.url = url.rstrip("/").removesuffix("/api/v1")
        self.link: str | None = None
        self._is_announced = False
        self._access = to_headers()
        self._address, self._token = "", ""
        self._sent = _SentLines()
        self._taken = 0  # lines of the current delivery that the server has accepted

    @property
    def name(self) -> str:
        """Return the address of the server, as the name of this destination."""
        return self.url

    def deliver(self, lines: list[bytes]) -> None:
        """Post lines of the record to the server. The first lines create the recording, the last line ends it."""
        end = orjson.loads(lines[-1]) if frame_type(lines[-1]) == "end" else None
        frames = lines if end is None else lines[:-1]
        for part in _split(frames[self._taken :]):
            if self._address:
                self._append(part)
            else:
                self._create_trace(part)
            self._sent.add(part)
            self._taken += len(part)
        # Without an observation there is no recording to end.
        if end is not None and self._address:
            self._post(f"{self._address}/end", json.dumps({key: end[key] for key in ("status", "reason")}).encode())
        self._taken = 0

    def announce(self) -> None:
        """Print the server's address. The page's address follows when the server has created the recording."""
        if not self._is_announced:
            self._is_announced = True
            _print(f"mHC Scope: {self.url} will show this training live, from its first pass on")

    def keep_alive(self) -> None:
        """Send a request without lines, so that the server keeps the recording open between distant observations."""
        if self._address:
            self._post_frames(self._sent.count, [])

    def finish(self) -> None:
        """Do nothing: the last line has ended the recording."""

    def _create_trace(self, lines: list[bytes]) -> None:
        """Create the recording on the server with its first lines, and print the address of its page."""
        answer = self._post(f"{self.url}{PREFIX}/live", b"".join(lines))
        try:
            name, self._token, self.link = (str(answer[key]) for key in ("id", "token", "url"))
        except (KeyError, TypeError):
            raise DestinationRefusedError("its answer names no trace; is it a server of this product?") from None
        self._address = f"{self.url}{PREFIX}/{name}"
        _print(f"mHC Scope: the live page of this training is {self.link}")

    def _append(self, lines: list[bytes]) -> None:
        """Post lines to the recording. If the server has lost earlier lines, post those again first."""
        try:
            self._post_frames(self._sent.count, lines)
        except _GapError as gap:
            index = gap.due
            for part in _split(self._sent.since(index)):
                self._post_frames(index, part)
                index += len(part)
            self._post_frames(index, lines)

    def _post_frames(self, index: int, lines: list[bytes]) -> None:
        self._post(f"{self._address}/frames?index={index}", b"".join(lines))

    def _post(self, address: str, body: bytes) -> Any:
        """Send a POST request and return the decoded JSON answer."""
        # An existing recording needs its own token. Creating one needs the access token, if the server requires it.
        access = {"Authorization": f"Bearer {self._token}"} if self._token else self._access
        headers = {"Content-Type": "application/octet-stream", **access}
        try:
            with urlopen(Request(address, body, headers, method="POST"), timeout=TIMEOUT_S) as response:
                text = response.read()
        except HTTPError as error:
            with error:
                raise _classify(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(str(error) or type(error).__name__) from error
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise DestinationRefusedError("its answer is no JSON; is it a server of this product?") from None


class _GapError(DestinationRefusedError):
    """The server expects an earlier line."""

    def __init__(self, due: int) -> None:
        super().__init__(f"it waits for line {due}, which is no longer here")
        self.due = due


class _SentLines:
    """The newest lines of a recording that the server accepted, because a server that crashes may lose the last ones.

    Attributes
    ----------
    count: number of all accepted lines, those dropped included.
    """

    def __init__(self) -> None:
        self.count = 0
        self._newest: deque[bytes] = deque()
        self._newest_bytes = 0

    def add(self, lines: list[bytes]) -> None:
        """Store lines that the server accepted, and drop the oldest beyond `MAX_WAITING` bytes."""
        self.count += len(lines)
        self._newest.extend(lines)
        self._newest_bytes += sum(map(len, lines))
        while self._newest_bytes > MAX_WAITING:
            self._newest_bytes -= len(self._newest.popleft())

    def since(self, index: int) -> list[bytes]:
        """Return the lines sent to the server from an index on."""
        first = self.count - len(self._newest)
        if not first <= index <= self.count:
            raise _GapError(index)
        return list(self._newest)[index - first :]


def _print(text: str) -> None:
    """Print to the standard error, to be visible without logging and separate from the program's own output."""
    print(text, file=sys.stderr, flush=True)


def _split(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Split lines into request bodies below the server's size limit."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > MAX_BODY:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part


def _classify(error: HTTPError) -> Exception:
    """Return the exception for an error response: a gap, a temporary or a final refusal."""
    text = error.read(100_000).decode(errors="replace")
    problem = _parse_json(text)
    detail = f"it answers {error.code}: {problem.get('detail', text)!s:.{MAX_DETAIL}}"
    if error.code == GAP_STATUS and type(problem.get("due")) is int:
        return _GapError(problem["due"])
    if error.code >= 500 or error.code in RETRYABLE:
        wait = error.headers.get("Retry-After", "")
        return UnavailableError(detail, float(wait) if wait.isdecimal() else None)
    return DestinationRefusedError(detail)


def _parse_json(text: str) -> dict[str, Any]:
    """Return the JSON object in a text; {} if there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
