"""Answer only whether the server is alive, if there are too many connections."""

from typing import Any

from mhc_scope.api.http.problems import Problem, to_response
from mhc_scope.pages.security import BARE_HEADERS

PROBES = ("/livez", "/readyz", "/metrics")


class ProbesOnly:
    """ASGI middleware of one connection: answers a problem to all but the operators' routes."""

    def __init__(self, app: Any, root_path: str, problem: Problem) -> None:
        self._app, self._problem = app, problem
        self._paths = {prefix + path for path in PROBES for prefix in ("", root_path)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass probes on; answer the problem to all other requests."""
        if scope["path"] in self._paths:
            return await self._app(scope, receive, send)
        response = to_response(self._problem, scope["path"])
        response.headers.update({"Connection": "close", **BARE_HEADERS})
        return await response(scope, receive, send)
