"""Build the OpenAPI description of the API."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse

from mhc_core import __version__
from mhc_core.record.schema import build_schemas
from mhc_core.spec import RunSpec
from mhc_scope.api import problems
from mhc_scope.api.contents import REF
from mhc_scope.api.credentials import ANYONE, SCHEMES
from mhc_scope.api.models.problems import ProblemBody
from mhc_scope.api.models.snapshots import SnapshotRequest
from mhc_scope.api.models.sweeps import SweepRequest
from mhc_scope.api.models.traces import EndRequest

# Models of bodies that routes parse themselves, so that the framework does not find them.
MODELS: dict[str, type[BaseModel]] = {
    "RunSpec": RunSpec,
    "SnapshotRequest": SnapshotRequest,
    "SweepRequest": SweepRequest,
    "EndRequest": EndRequest,
    "Problem": ProblemBody,
}
# Bodies whose field `spec` is a spec, which only `mhc_core` validates.
WITH_SPEC = ("PresetRun", "RunBody", "SweepRequest", "TwinBody")
UNUSED = ("HTTPValidationError", "ValidationError")


def describe(
    app: FastAPI,
    root: str = "",
    schemes: Mapping[str, dict[str, str]] = MappingProxyType({}),
    models: Mapping[str, type[BaseModel]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the OpenAPI description of an app below the path `root`.

    schemes, models: kinds of credentials, and bodies that routes parse themselves, from an extension. The schemas of
    specs and frames come from `mhc_core`. All error responses are described as problems.
    """
    if app.openapi_schema:
        return app.openapi_schema
    openapi = get_openapi(
        title="mHC Scope",
        version=__version__,
        description="How signals travel through deep networks, layer by layer, measured by real passes.",
        routes=app.routes,
        servers=[{"url": root}] if root else None,
    )
    schemas = openapi.setdefault("components", {}).setdefault("schemas", {})
    _add_models(schemas, {**MODELS, **models})
    known = {**schemes, **SCHEMES}
    openapi["components"]["securitySchemes"], openapi["security"] = known, _keep_known(ANYONE, known)
    for unused in UNUSED:
        schemas.pop(unused, None)
    for methods in openapi["paths"].values():
        for operation in methods.values():
            _make_errors_problems(operation["responses"])
            if "security" in operation:
                operation["security"] = _keep_known(operation["security"], known)
    app.openapi_schema = openapi
    return openapi


async def get_description(request: Request) -> JSONResponse:
    """Return the OpenAPI description of the app as JSON."""
    return JSONResponse(request.app.openapi())


def _keep_known(security: list[dict[str, list[str]]], schemes: Collection[str]) -> list[dict[str, list[str]]]:
    """Return an operation's security requirements without kinds of credentials that this server does not support."""
    return [item for item in security if item.keys() <= set(schemes)]


def _add_models(schemas: dict[str, Any], models: Mapping[str, type[BaseModel]]) -> None:
    """Add the JSON schemas of these models to the components of the description."""
    for name, model in models.items():
        schema = model.model_json_schema(ref_template=REF)
        schemas |= schema.pop("$defs", {}) | {name: schema}
    for name in WITH_SPEC:
        fields = schemas[name]["properties"]
        fields["spec"] = _refer_to_spec(fields["spec"])
    schemas |= build_schemas(REF)


def _refer_to_spec(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose field `spec` refers to the schema of specs instead of any object."""
    if "anyOf" in schema:
        return schema | {"anyOf": [_refer_to_spec(item) for item in schema["anyOf"]]}
    if schema["type"] != "object":
        return schema
    kept = {key: schema[key] for key in schema.keys() & {"description"}}
    return {"$ref": REF.format(model="RunSpec"), **kept}


def _make_errors_problems(responses: dict[str, Any]) -> None:
    """Describe all error responses of an operation as problem+json."""
    responses.pop("422", None)
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}
    responses["default"] = {"description": "Errors: problem+json (see below)", "content": content}
