"""Answers from files that are kept: whole, a part that a broken download goes on with, or that nothing has changed."""

import os
import re
from email.utils import formatdate
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response

from app.api.http.contents import Responses

CHANGELESS: Responses = {304: {"description": "The caller's copy, which `If-None-Match` names, still holds"}}
PART = re.compile(r"bytes=(\d*)-(\d*)")


def is_held(request: Request, etag: str) -> bool:
    """Whether the caller has this version already."""
    held = request.headers.get("if-none-match", "")
    return any(part.strip().removeprefix("W/") in (etag, "*") for part in held.split(",")) if held else False


def respond_file(request: Request, path: Path, changed_at: float, headers: dict[str, str], media_type: str) -> Response:
    """The file, or the part of it that `Range` asks for; `headers` has its ETag."""
    status = os.stat(path)
    if not _is_one_part(request.headers.get("range"), status.st_size):
        # What cannot be served as one part is served whole, which every server may do.
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    told = {**headers, "Last-Modified": formatdate(changed_at, usegmt=True)}  # the file's own says when it was used
    return FileResponse(path, headers=told, media_type=media_type, stat_result=status)


def _is_one_part(asked: str | None, size: int) -> bool:
    found = PART.fullmatch(asked or "")
    if found is None or found.groups() == ("", ""):
        return False
    first, last = found.groups()
    if not first:
        return int(last) > 0
    return int(first) < size and (not last or int(first) <= int(last))
