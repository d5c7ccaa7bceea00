"""Parse request bodies without the framework, so that errors name NaN, 1e400 and unknown fields."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from mhc_core.spec import RunSpec, SpecError, SpecErrors, parse_spec
from mhc_scope.api.problems import Problem, to_request_error

MAX_SPECS = 8
# If compared runs differ in these fields, part of their other differences is chance.
SHARED = ("seed", "input")


Model = TypeVar("Model", bound=BaseModel)


def refer_to(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that a route parses itself, with a reference to its model's schema."""
    return _to_body({"$ref": f"#/components/schemas/{model.__name__}"})


def _to_body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


SPEC_BODY = refer_to(RunSpec)
SPECS_BODY = _to_body(
    {"type": "array", "minItems": 1, "maxItems": MAX_SPECS, "items": {"$ref": "#/components/schemas/RunSpec"}}
)


def parse_comparison(body: bytes, is_mixed: bool) -> list[RunSpec]:
    """Parse a list of specs that share their seed and input unless `is_mixed`; errors of item k name `k.field`."""
    items = _parse_list(body)
    specs, errors = [], []
    for index, item in enumerate(items):
        try:
            specs.append(_parse_item(item))
        except SpecErrors as found:
            errors += [error.under(str(index)) for error in found.errors]
    if errors:
        raise SpecErrors(errors)
    if not is_mixed:
        _require_shared(specs)
    return specs


def parse_model(model: type[Model], body: bytes) -> Model:
    """Parse a body that is not a spec; raise a problem that lists mistakes as field, got, wanted."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        errors = [_to_spec_error(item) for item in error.errors(include_url=False)]
        problem = "; ".join(str(item) for item in errors)
        raise Problem("invalid-body", 422, problem, errors=errors) from None


def _parse_list(body: bytes) -> list[Any]:
    """Parse a request body as a JSON list of 1 to MAX_SPECS items."""
    try:
        items = from_json(body, allow_inf_nan=True)  # inf and nan are refused later, with the name of their field
    except ValueError as error:
        raise SpecErrors([SpecError("body", str(error), "JSON in UTF-8")]) from None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_SPECS:
        got = f"a list of {len(items)}" if isinstance(items, list) else items
        raise SpecErrors([SpecError("body", got, f"a list of 1 to {MAX_SPECS} specs")])
    return items


def _parse_item(item: Any) -> RunSpec:
    """Parse an item of a list in a request body as a spec."""
    if not isinstance(item, dict):
        raise SpecErrors([SpecError("", item, "an object")])
    return parse_spec(item)


def _require_shared(specs: list[RunSpec]) -> None:
    """Raise SpecErrors unless all specs of a comparison have the same seed and input."""
    errors = []
    for index, spec in enumerate(specs[1:], start=1):
        for name in SHARED:
            if getattr(spec, name) != getattr(specs[0], name):
                got = getattr(spec, name)
                got = got.model_dump_json() if isinstance(got, BaseModel) else got
                errors.append(
                    SpecError(f"{index}.{name}", got, f"the same {name} as in the first spec, or ?mixed=true")
                )
    if errors:
        raise SpecErrors(errors)


def _to_spec_error(item: Any) -> SpecError:
    """Convert an error of pydantic in a request body to a SpecError."""
    field = ".".join(str(part) for part in item["loc"]) or "body"
    return to_request_error(field, item)
