"""Add security headers to every response, and refuse requests from pages of other sites that may change data."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mhc_scope.api.problems import Problem, to_response

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# Policy for responses that are not pages: nothing may be loaded, run or framed.
BARE_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
BARE_HEADERS = {**HEADERS, "Content-Security-Policy": BARE_POLICY}

# Files that pages load are never pages themselves, so that policies for pages would only add 40 kB to a first visit.
PARTS = ("text/javascript", "text/css", "font/")
PART_HEADERS = {"X-Content-Type-Options": "nosniff"}

# For pages with forms, because with no-referrer a browser would send `Origin: null` with a form.
FORM_HEADERS = {"Referrer-Policy": "same-origin", "Cache-Control": "no-store"}

FOREIGN_SITES = ("cross-site", "same-site")

# What pages of allowed origins may send and read. Cookies are not allowed: without a token, their IP address counts.
CORS: dict[str, Any] = {
    "allow_methods": ("GET", "HEAD", "POST", "DELETE"),
    "allow_headers": ("Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"),
    "expose_headers": ("Content-Disposition", "ETag", "Location", "Retry-After"),
    "allow_private_network": True,
}


def require_own_page(request: Request) -> None:
    """Refuse a POST request unless a page of this server has sent it."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    if origin is None or urlsplit(origin).netloc != host:
        raise Problem("foreign-origin", 403, "only this page's buttons may do this; scripts can use the HTTP interface")


def page_policy(import_map_hash: str, *, frame_ancestors: str | None = "'none'") -> str:
    """Return the Content-Security-Policy of a page: only files of this host, and the import map by its hash.

    frame_ancestors: None for a policy within the page itself, where browsers do not accept this rule.
    """
    rules: dict[str, str | None] = {
        "default-src": "'none'",
        "script-src": f"'self' '{import_map_hash}'",
        # Plotly sets styles on elements, and draws its export through a blob.
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "frame-ancestors": frame_ancestors,
        "base-uri": "'none'",
        "form-action": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items() if value is not None)


class SecurityHeaders:
    """ASGI middleware that adds security headers, and refuses requests from pages of other sites that may change data.

    A browser sends `Origin` with every POST and DELETE of a page. Without this check, any site that a person opens
    could start runs on a server that only this person's machine can reach. Pages of `origins` are allowed.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app and add security headers to its response, or refuse the request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            """Send a message of the response, with security headers added to its own."""
            if message["type"] == "http.response.start":
                complete(MutableHeaders(scope=message))
            await send(message)

        origin = _foreign_origin(scope)
        if origin is not None and origin not in self._origins:
            detail = f"this request comes from a page of {origin}, not of this server"
            response = to_response(Problem("foreign-origin", 403, detail), scope["path"])
            return await response(scope, receive, send_with_headers)
        return await self._app(scope, receive, send_with_headers)


def complete(headers: MutableHeaders) -> None:
    """Add the security headers that a response does not have yet."""
    is_part = headers.get("content-type", "").startswith(PARTS)
    for name, value in (PART_HEADERS if is_part else BARE_HEADERS).items():
        headers.setdefault(name, value)


def _foreign_origin(scope: Scope) -> str | None:
    """Return the origin of a request that may change data and comes from a page of another site; None for others."""
    if scope["method"] in SAFE_METHODS:
        return None
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None and headers.get("sec-fetch-site") in FOREIGN_SITES:
        return "another site"  # browsers that leave out the origin still send this header
    if origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return origin
