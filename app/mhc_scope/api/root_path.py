"""Handle the path below which a proxy shows the server."""

from starlette.types import ASGIApp, Receive, Scope, Send

from mhc_scope.api.models.links import set_root


def to_route(scope: Scope) -> str:
    """Return the path of a request as the routes have it, without the root path."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class RootPath:
    """ASGI middleware: sets the path of a request as the browser has it, whether or not a proxy changed it."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app, self._root = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with the root path below which a proxy shows the server, for routes and addresses."""
        if scope["type"] == "http":
            path, root = scope["path"], self._root
            has_root = path == root or path.startswith(f"{root}/")
            scope = {**scope, "root_path": root, "path": path if has_root else root + path}
            set_root(root)
        await self._app(scope, receive, send)
