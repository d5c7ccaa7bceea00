"""Handle the root path, below which a proxy shows the server."""

from starlette.types import ASGIApp, Receive, Scope, Send

from mhc_scope.api.models.links import set_root


def to_route(scope: Scope) -> str:
    """Return the path of a request without the root path, as routes define it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class RootPath:
    """ASGI middleware that sets root path and path of a request, whether or not a proxy has removed the root path."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app, self._root = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with the full path and the root path, which routes and addresses need."""
        if scope["type"] == "http":
            path, root = scope["path"], self._root
            has_root = path == root or path.startswith(f"{root}/")
            scope = {**scope, "root_path": root, "path": path if has_root else root + path}
            set_root(root)
        await self._app(scope, receive, send)
