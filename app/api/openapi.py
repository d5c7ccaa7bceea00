"""The OpenAPI description of the API."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.http import problems
from mhc_core import __version__
from mhc_core.spec import RunSpec

REF = "#/components/schemas/{model}"

PROBLEM = {
    "title": "Problem",
    "description": "An error as RFC 9457 has it.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "Where the kind of problem is described."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "got": {}, "wanted": {"type": "string"}},
            },
        },
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description.

    Specs are parsed by the core, so the core's schema is put in here; every error is a problem.
    """
    if app.openapi_schema:
        return app.openapi_schema
    openapi = get_openapi(
        title="mHC Scope",
        version=__version__,
        description="How signals travel through deep stacks, layer by layer, measured by real passes.",
        routes=app.routes,
    )
    schemas = openapi.setdefault("components", {}).setdefault("schemas", {})
    spec = RunSpec.model_json_schema(ref_template=REF)
    schemas |= spec.pop("$defs") | {"RunSpec": spec, "Problem": PROBLEM}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    answer = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for methods in openapi["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "a problem, as below", **answer}
    app.openapi_schema = openapi
    return openapi
