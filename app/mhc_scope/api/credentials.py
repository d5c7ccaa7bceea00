"""Describe in OpenAPI how callers authenticate: tools that read it offer a field for each kind.

The top of the description has what applies to most operations. An operation with other needs states them. The
description omits the kinds that a server does not have: without accounts there is only `key`.
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

# For all operations that state nothing else: without either, an address identifies the client.
ANYONE: list[dict[str, list[str]]] = [{TOKEN: []}, {BROWSER: []}, {}]


def require(*schemes: str, is_optional: bool = False) -> dict[str, Any]:
    """Return the part of an operation's OpenAPI description that requires one of these credentials, or with
    `is_optional` allows one.
    """
    needed: list[dict[str, list[str]]] = [{scheme: []} for scheme in schemes]
    return {"security": needed + ([{}] if is_optional else [])}
