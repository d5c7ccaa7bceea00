"""Describe in OpenAPI how clients authenticate. Tools that read it show an input for each kind of credential.

The top level of the description states what applies to most operations; others state their own requirements. Kinds
that a server does not support are left out: without accounts there is only `key`.
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

# For all operations without their own requirements. Without a credential, the IP address identifies the client.
ANYONE: list[dict[str, list[str]]] = [{TOKEN: []}, {BROWSER: []}, {}]


def require(*schemes: str, is_optional: bool = False) -> dict[str, Any]:
    """Return the part of an operation's OpenAPI description that requires one of these kinds of credentials.

    is_optional: whether a credential is only allowed, and not required.
    """
    needed: list[dict[str, list[str]]] = [{scheme: []} for scheme in schemes]
    return {"security": needed + ([{}] if is_optional else [])}
