"""Convert the OpenAPI description to rows of tables for `/docs`, which the server renders without any script."""

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True)
class Field:
    """A parameter of a route, or a field of a body."""

    name: str
    place: str
    kind: str
    default: str
    text: Markup


@dataclass(frozen=True)
class Call:
    """One route and method."""

    method: str
    path: str
    text: Markup
    fields: list[Field]
    body: str
    answers: list[tuple[str, Markup]]
    needs: list[str] = field(default_factory=list)  # one of these credentials


def describe(openapi: dict[str, Any]) -> dict[str, list[Call]]:
    """Return the routes of an OpenAPI description by tag, in the order of their definition, and the parts of a spec."""
    sections: dict[str, list[Call]] = {}
    for path, methods in openapi["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                sections.setdefault(operation["tags"][0], []).append(_to_call(method, path, operation))
    sections["spec"] = _describe_spec(openapi["components"]["schemas"])
    return sections


def to_html(text: str) -> Markup:
    """Escape a text for the page of the API, and format backticks as code."""
    pieces = [Markup("<code>{}</code>" if k % 2 else "{}").format(piece) for k, piece in enumerate(text.split("`"))]
    return Markup("").join(pieces)


def _to_call(method: str, path: str, operation: dict[str, Any]) -> Call:
    """Convert the OpenAPI description of one route to a row of the page."""
    fields = [_to_field(item["name"], item["in"], item) for item in operation.get("parameters", [])]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = [(code, to_html(answer["description"])) for code, answer in operation["responses"].items()]
    needs = ["none" if not item else " and ".join(item) for item in operation.get("security", [])]
    return Call(method.upper(), path, to_html(operation["description"]), fields, _name_of(body), answers, needs)


def describe_credentials(openapi: dict[str, Any]) -> list[tuple[str, str, Markup]]:
    """Return the kinds of credentials: name, how it is sent, meaning."""
    rows = []
    for name, scheme in openapi["components"]["securitySchemes"].items():
        is_bearer = scheme["type"] == "http"
        sent = "Authorization: Bearer ..." if is_bearer else f"Cookie: {scheme['name']}=..."
        rows.append((name, sent, to_html(scheme["description"])))
    return rows


def _describe_spec(schemas: dict[str, Any]) -> list[Call]:
    """Return the parts of a spec, with their fields in the form of a route's parameters."""
    parts = [name for name in schemas if name.endswith("Spec")]
    return [
        Call("", name, to_html(schemas[name].get("description", "")), _fields_of(schemas[name]), "", [])
        for name in sorted(parts, key=lambda name: name != "RunSpec")
    ]


def _fields_of(schema: dict[str, Any]) -> list[Field]:
    return [_to_field(name, "", {"schema": item, **item}) for name, item in schema["properties"].items()]


def _to_field(name: str, place: str, item: dict[str, Any]) -> Field:
    """Convert one parameter or field to a row of a table: name, location, type, default and meaning."""
    schema = item.get("schema", {})
    default = "" if isinstance(schema.get("default"), dict | list) else str(schema.get("default", ""))
    default = default if len(default) <= 40 else f"{default[:40]}…"
    return Field(name, place, _kind_of(schema), default, to_html(item.get("description", "")))


def _kind_of(schema: dict[str, Any]) -> str:
    """Return the type of a JSON schema as text, with its bounds or choices."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return _kind_of(schema["anyOf"][0])
    if "$ref" in schema:
        return _name_of(schema)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    bounds = (
        "" if low is None and high is None else f" {low if low is not None else ''}…{high if high is not None else ''}"
    )
    return f"{schema.get('type', '')}{bounds}"


def _name_of(schema: dict[str, Any]) -> str:
    """Return the name of a JSON schema: that of its component, its title, or "list of" and the name of its items."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if schema.get("type") == "array":
        return f"list of {_name_of(schema['items'])}"
    return str(schema.get("title", ""))
