"""What answers hold that are not JSON, for the OpenAPI description."""

from collections.abc import Mapping
from typing import Any

Responses = dict[int | str, dict[str, Any]]
Content = dict[str, dict[str, Any]]


def describe_texts(descriptions: Mapping[str, str]) -> Content:
    """The content of an answer that is text: media type -> what it holds."""
    return {media: {"schema": {"type": "string", "description": text}} for media, text in descriptions.items()}


def describe_bytes(media_type: str, description: str) -> Content:
    """The content of an answer that is a file."""
    return {media_type: {"schema": {"type": "string", "format": "binary", "description": description}}}
