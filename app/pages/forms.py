"""Forms of pages without script: what must come with the request that a button sends."""

from urllib.parse import urlsplit

from fastapi import Request

from app.api.http.problems import Problem

# With no-referrer, as other pages have it, a browser would send `Origin: null` with the buttons' requests.
HEADERS = {"Referrer-Policy": "same-origin", "Cache-Control": "no-store"}


def require_own_page(request: Request) -> None:
    """Refuse a POST that another site's page, or nothing that can be told, has sent."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    if origin is None or urlsplit(origin).netloc != host:
        raise Problem("foreign-origin", 403, "this is for the buttons of this page; scripts have the HTTP interface")
