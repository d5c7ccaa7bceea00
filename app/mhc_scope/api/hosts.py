"""Check the host name of requests, against DNS rebinding.

A foreign site can point its own name to the address of this server. The browser then treats the server as part of that
site, and the site's page may read and write everything. Its requests still have the site's name in the header Host.
"""

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mhc_scope.api.addresses import HOST
from mhc_scope.api.problems import Problem, to_response

ANY = "*"


class AllowedHosts:
    """ASGI middleware that refuses requests whose Host is a name that does not belong to this server.

    An IP address is always allowed, because rebinding needs a name: people in the same network can thus use a server
    that listens on all addresses without any setting. A request without Host is allowed, as no browser sends one.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app, self._names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, or refuse a request whose Host does not name this server."""
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        if host is None or is_allowed(host, self._names):
            return await self._app(scope, receive, send)
        detail = f"this server is not called {host[:80]!r}; its operator can list a name with --allowed-hosts"
        return await to_response(Problem("wrong-host", 421, detail), scope["path"])(scope, receive, send)


def is_allowed(host: str, names: Collection[str]) -> bool:
    """Return whether a Host names this server, with any port; `ANY` among the names allows all."""
    if ANY in names:
        return True
    if not HOST.fullmatch(host):
        return False
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0].lower()
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
