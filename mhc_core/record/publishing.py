"""Sends a container to a server, using only the standard library."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from mhc_core.record.credentials import to_headers

TIMEOUT_S = 120.0
ADDRESS = "/api/v1/traces"


class PublishError(RuntimeError):
    """The server refused a trace; the text gives the reason."""


def publish(url: str, content: bytes) -> str:
    """Send a record file to the server at `url`, and return the link to the page that shows it.

    If the server requires an access token, it is read from the environment variable `MHC_SCOPE_TOKEN`.

    Raises
    ------
    PublishError
        If the server refuses it.
    OSError
        If the server cannot be reached.
    ValueError
        If `url` is not an http or https address.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the server's address is {url!r}, wanted one such as http://127.0.0.1:8000")
    headers = {"Content-Type": "application/octet-stream", **to_headers()}
    request = Request(url.rstrip("/") + ADDRESS, data=content, headers=headers, method="POST")
    try:
        with urlopen(request, timeout=TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
    except HTTPError as error:
        with error:
            raise PublishError(_explain(error)) from None
    return answer["url"]


def _explain(error: HTTPError) -> str:
    """Return the server's reason for refusing a record."""
    text = error.read(100_000).decode(errors="replace")
    if "json" not in error.headers.get("Content-Type", ""):
        return f"the server answered {error.code}: {text[:200]}"
    detail = json.loads(text).get("detail", text[:200])
    return f"the server answered {error.code}: {detail}"
