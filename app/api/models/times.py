"""Times as ISO 8601 in UTC."""

from datetime import UTC, datetime


def to_time(seconds: float) -> datetime:
    """From seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
