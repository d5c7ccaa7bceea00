"""List the methods of an address for the header `Allow`: Starlette names only those of the first matching route."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path


def list_methods(app: FastAPI, scope: dict[str, Any]) -> list[str]:
    """Return the methods of all routes with the path of the first one that matches a request; HEAD goes with GET."""
    found = [route for route in iter_route_contexts(app.routes) if route.path and route.methods]
    address = scope["path"].removeprefix(scope.get("root_path", ""))
    first = next((route.path for route in found if compile_path(str(route.path))[0].match(address)), None)
    methods = {method for route in found if route.path == first for method in route.methods or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
