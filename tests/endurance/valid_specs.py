"""Loaded by Schemathesis: the specs that it makes up keep the rules between fields, by leaving fields out.

Its generator cannot read these rules; the JSON schema of the environment variable `SPEC` says them, and judges here.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import schemathesis
from jsonschema_rs import validator_for

VALIDATOR = validator_for(json.loads(os.environ["SPEC"]))


@schemathesis.hook
def map_body(context: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The body without fields that break a rule, the last first; whole numbers as integers, which a spec insists on."""
    body = json.loads(json.dumps(body), parse_float=_read_number)
    for part, name in reversed(list(_find_fields(body))):
        if VALIDATOR.is_valid(body):
            break
        part.pop(name)
    return body


def _read_number(text: str) -> float:
    """A schema takes 64.0 for an integer."""
    return int(float(text)) if float(text).is_integer() else float(text)


def _find_fields(part: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for name, value in part.items():
        yield part, name
        if isinstance(value, dict):
            yield from _find_fields(value)
