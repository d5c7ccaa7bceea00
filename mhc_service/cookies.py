"""Set the cookie that identifies a browser: a random number, without any data about the person."""

from http.cookies import SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mhc_scope.api.dependencies import read_bearer
from mhc_scope.api.root_path import to_route
from mhc_service.identity import new_cookie, to_cookie_key

COOKIE = "mhc_client"
TOKEN_COOKIE = "mhc_token"  # the access token of a person who has signed in
MAX_AGE_S = 34_560_000  # 400 days, the longest time for which browsers keep a cookie
SITE = ("same-origin", "none")


class ClientCookies:
    """ASGI middleware that sets a cookie in a browser that has none, with an HTML page or its first API response.

    Scripts get no cookie, because a library that keeps cookies would count as another client from its second call on.
    Embedded figures get none, because in frames browsers do not send cookies to servers other than the page's.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app, self._public_url = app, public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, and add a cookie to its response if the request should get one."""
        if scope["type"] != "http" or not _wants_cookie(scope):
            return await self._app(scope, receive, send)

        async def send_with_cookie(message: Message) -> None:
            """Send a message of the response. To the headers of a response for a browser, add the cookie."""
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if _is_of_browser(scope) or headers.get("content-type", "").startswith("text/html"):
                    headers.append("set-cookie", self._build_cookie(scope))
            await send(message)

        return await self._app(scope, receive, send_with_cookie)

    def _build_cookie(self, scope: Scope) -> str:
        """Return a Set-Cookie header with a new random value."""
        cookie = SimpleCookie()
        cookie[COOKIE] = new_cookie()
        kept = cookie[COOKIE]
        kept["path"], kept["max-age"] = scope.get("root_path") or "/", str(MAX_AGE_S)
        kept["httponly"], kept["samesite"] = True, "Lax"
        kept["secure"] = is_safe(scope, self._public_url)
        return kept.OutputString()


def read_access_token(request: Request) -> str | None:
    """Return the access token of a request: the bearer token, else the cookie of a signed-in person, else None."""
    bearer = read_bearer(request)  # "", not None, if the header names no token: refused later
    return request.cookies.get(TOKEN_COOKIE) if bearer is None else bearer


def is_safe(scope: Scope, public_url: str) -> bool:
    """Return whether browsers reach this server by https, so that cookies can be limited to https."""
    return scope.get("scheme") == "https" or public_url.startswith("https:")


def _wants_cookie(scope: Scope) -> bool:
    """Return whether a request should get a cookie: it has none of ours and no token, and is not for a static file."""
    headers = Headers(scope=scope)
    if "authorization" in headers or to_route(scope).startswith(("/embed/", "/static/", "/vendor/")):
        return False
    cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return cookie is None or to_cookie_key(cookie) is None


def _is_of_browser(scope: Scope) -> bool:
    """Return whether a page of this server sends the request, as browsers state in a header on secure connections."""
    return Headers(scope=scope).get("sec-fetch-site", "") in SITE
