"""Read what a trusted proxy reports about a request: the client's address, the scheme, and who has signed in."""

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

FROM_PROXY = "mhc.from_proxy"


class TrustedProxies(ProxyHeadersMiddleware):
    """Extends uvicorn's middleware, which replaces the proxy's address by the client's, to mark requests of proxies.

    Headers of a peer that is not a trusted proxy are ignored.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        super().__init__(app, trusted)  # type: ignore[arg-type]  # uvicorn has its own names for the same types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Store whether a trusted proxy sent the request, before the client's address replaces the proxy's."""
        peer = scope.get("client")
        scope[FROM_PROXY] = peer is not None and peer[0] in self.trusted_hosts
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]
