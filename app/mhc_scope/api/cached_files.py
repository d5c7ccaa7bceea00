"""Respond with cached files: the whole file, a part to resume a download, or 304 if it has not changed."""

import asyncio
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from mhc_scope.api.contents import Responses

CHANGELESS: Responses = {304: {"description": "The caller's copy, which `If-None-Match` names, still holds"}}
PART = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
CHUNK_BYTES = 2**16
# Number of chunks that are read at the same time, over all downloads, so that other requests are not delayed.
TURNS = 4


def matches_etag(request: Request, etag: str) -> bool:
    """Return whether the client has this version of a file already, according to its If-None-Match header."""
    known = request.headers.get("if-none-match", "")
    return any(part.strip().removeprefix("W/") in (etag, "*") for part in known.split(",")) if known else False


async def respond_file(
    request: Request, path: Path, changed_at: float, headers: dict[str, str], media_type: str
) -> Response:
    """Return a file, or the part of it that the header Range requests. headers: those of the file, with its ETag.

    If Range is not a single valid part, the whole file is sent, which the standard allows.
    """
    file = await asyncio.to_thread(path.open, "rb")  # opened first, so that deleting the file does not affect this
    size = file.seek(0, 2)
    is_same = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    part = read_part(request.headers.get("range", ""), size) if is_same else None
    first, end = part or (0, size)
    extra = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - first),
        "Last-Modified": formatdate(changed_at, usegmt=True),
    }
    if part is not None:
        extra["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    turns = request.app.state.download_turns
    chunks = _read_chunks(file, first, end, turns)
    return StreamingResponse(chunks, 206 if part else 200, {**headers, **extra}, media_type)


def read_part(value: str, size: int) -> tuple[int, int] | None:
    """Return the start and the end (exclusive) of a Range header with one valid part; None for any other."""
    found = PART.fullmatch(value)
    if found is None:
        return None
    first, last = found.groups()
    if not first:
        begin, end = (max(0, size - int(last)), size) if last else (0, 0)
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
    return (begin, end) if begin < end else None


async def _read_chunks(file: BinaryIO, first: int, end: int, turns: asyncio.Semaphore) -> AsyncIterator[bytes]:
    """Yield the bytes of an open file from `first` to `end` in chunks read in a thread, and close it."""
    with file:
        file.seek(first)
        while first < end:
            async with turns:
                chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - first))
            if not chunk:
                raise OSError(f"{file.name} is shorter than it was")
            first += len(chunk)
            yield chunk
