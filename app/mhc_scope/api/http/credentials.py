"""How callers say who they are, for the OpenAPI description: tools that read it offer a place for each.

What holds for most operations stands at the top of the description. An operation that has needs of its own says so.
The description leaves out the kinds that a server does not have: without accounts there is only `key`.
"""

from typing import Any

TOKEN, BROWSER, KEY, OPERATOR = "token", "cookie", "key", "operator"

SCHEMES: dict[str, dict[str, str]] = {
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "The secret returned when the resource was created: the `key` of a snapshot or of a room, or "
        "the `token` of a trace that is being recorded.",
    },
}

# Of all operations that say nothing else: without either, a client is known by its address.
ANYONE: list[dict[str, list[str]]] = [{TOKEN: []}, {BROWSER: []}, {}]


def require(*schemes: str, is_optional: bool = False) -> dict[str, Any]:
    """Return what an operation adds to its description: one of these is needed, or with `is_optional` may be there."""
    needed: list[dict[str, list[str]]] = [{scheme: []} for scheme in schemes]
    return {"security": needed + ([{}] if is_optional else [])}
