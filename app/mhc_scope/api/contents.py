"""Describe responses that are not JSON, for the OpenAPI description."""

from collections.abc import Mapping
from typing import Any

# OpenAPI 3.2 has `itemSchema`; 3.1, which the framework writes, leaves it to extensions.
ITEM_SCHEMA = "x-item-schema"
REF = "#/components/schemas/{model}"

Responses = dict[int | str, dict[str, Any]]
Content = dict[str, dict[str, Any]]


def describe_texts(descriptions: Mapping[str, str]) -> Content:
    """Return the OpenAPI description of a text response. descriptions: media type -> description of the content."""
    return {media: {"schema": {"type": "string", "description": text}} for media, text in descriptions.items()}


def describe_items(descriptions: Mapping[str, str], item: str) -> Content:
    """Return the OpenAPI description of a response with a sequence of JSON objects. item: name of their schema."""
    contents = describe_texts(descriptions)
    return {media: {**content, ITEM_SCHEMA: {"$ref": REF.format(model=item)}} for media, content in contents.items()}


def describe_bytes(media_type: str, description: str) -> Content:
    """Return the OpenAPI description of a response that is a file."""
    return {media_type: {"schema": {"type": "string", "format": "binary", "description": description}}}
