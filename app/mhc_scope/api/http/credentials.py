"""How callers say who they are, for the OpenAPI description: tools that read it offer a place for each.

What holds for most operations stands at the top of the description. An operation that has needs of its own says so.
"""

from typing import Any

from mhc_scope.api.http.cookies import COOKIE

TOKEN, BROWSER, KEY, OPERATOR = "token", "cookie", "key", "operator"

SCHEMES: dict[str, dict[str, str]] = {
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, which the operator makes with `mhc-scope token add`. Its rights are `read`, "
        "`run` or `admin`.",
    },
    BROWSER: {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A random number that identifies a browser. The server sets it with a page.",
    },
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "The secret returned when the resource was created: the `key` of a snapshot or of a room, or "
        "the `token` of a trace that is being recorded.",
    },
    OPERATOR: {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token with the right `admin`. Not needed on the private port, or on this machine "
        "where there is no private port.",
    },
}

# Of all operations that say nothing else: without either, a client is known by its address.
ANYONE: list[dict[str, list[str]]] = [{TOKEN: []}, {BROWSER: []}, {}]


def require(*schemes: str, is_optional: bool = False) -> dict[str, Any]:
    """What an operation adds to its description: one of these is needed, or with `is_optional` may be there."""
    needed: list[dict[str, list[str]]] = [{scheme: []} for scheme in schemes]
    return {"security": needed + ([{}] if is_optional else [])}
