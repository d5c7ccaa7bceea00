"""Define fields that many bodies share: texts from users, and times as ISO 8601 in UTC."""

from datetime import UTC, datetime

# PostgreSQL text cannot contain U+0000. Only the text in a spec may, because specs are stored as JSON.
NO_NUL = r"^[^\x00]*$"


def to_time(seconds: float) -> datetime:
    """Convert seconds since 1970 to the time format of responses."""
    return datetime.fromtimestamp(seconds, UTC)
