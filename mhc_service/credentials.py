"""Describe in OpenAPI how callers authenticate on a server with accounts."""

from mhc_scope.api.credentials import BROWSER, OPERATOR, TOKEN
from mhc_service.cookies import COOKIE

SCHEMES: dict[str, dict[str, str]] = {
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, which the operator creates with `mhc-scope token add`. Its rights are `read`, "
        "`run` or `admin`.",
    },
    BROWSER: {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A random number that identifies a browser. The server sets it with a page.",
    },
    OPERATOR: {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token with the right `admin`. Not needed on the private port, or on this machine "
        "where there is no private port.",
    },
}
